"""Plain and compressed files as blocks of bytes, in bounded memory and time, with every fault turned into data.

A file is a sequence of segments: runs of decompressed bytes, separated by faults (bytes that could not be
decompressed). After a fault, decompression goes on at the next member, frame or stream that starts with its
magic number, so that one broken member of a WARC file costs one record. The search starts inside of what the
broken member has taken: a member that was cut short swallows up to 1 MiB of its neighbours before its decoder notices.

A decompression bomb is a fault, too: a file may give `max_inflation` times its own bytes, and one record more.
"""

from __future__ import annotations

import bz2
import itertools
import lzma
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import zstandard
from isal import igzip_lib

from pipelines.contracts import storage
from pipelines.contracts.errors import StageError, message

PLAIN_BLOCK_BYTES = 1 << 20
_COMPRESSED_BLOCK_BYTES = 1 << 18
_OUTPUT_BYTES = 1 << 20  # of one call of a decoder that can stop
_REREAD_BYTES = 1 << 20  # behind a fault that are searched for the next member: a bz2 block has up to 900 kB
_MAX_WINDOW_BYTES = 1 << 27  # zstd --long=27; more is refused, memory is bounded
_MAGIC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Fault:
    """Compressed bytes that could not be read.

    Attributes:
        error: short name.
        message: what was found and what was expected.
        length: compressed bytes lost (0 if the file just ends too early).
    """

    error: str
    message: str
    length: int


@dataclass(frozen=True, slots=True)
class Inflation:
    """The limit on what a compressed file may give.

    Attributes:
        factor: decompressed bytes per compressed byte (`limits.max_inflation`).
        free_bytes: decompressed bytes that a file may be ahead of that at any place.
    """

    factor: float = 200.0
    free_bytes: int = 64_000_000


@dataclass(frozen=True)
class _Codec:
    """A compression format.

    Attributes:
        suffix: file name extension.
        magic: matches the start of a member.
        new: makes a decoder of one member, with `decompress`, `eof` and `unused_data`.
        errors: what the decoder raises on damaged bytes.
        feed_bytes: bytes given to the decoder at once. A decoder that raises loses the output of that call, so
            this is small; zstd's cannot stop inside of a call and makes up to 32 MB of 1 KiB.
        stops: whether `decompress` takes a limit on its output.
    """

    suffix: str
    magic: re.Pattern[bytes]
    new: Callable[[], Any]
    errors: tuple[type[Exception], ...]
    feed_bytes: int
    stops: bool


_CODECS = (
    _Codec(
        ".gz",
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
        lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
        (igzip_lib.IsalError,),
        4096,
        True,
    ),
    _Codec(
        ".zst",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        lambda: zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj(),
        (zstandard.ZstdError,),
        1024,
        False,
    ),
    _Codec(
        ".bz2",
        re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
        bz2.BZ2Decompressor,
        (OSError, ValueError),
        4096,
        True,
    ),
    _Codec(
        ".xz",
        re.compile(rb"\xfd7zXZ\x00"),
        lambda: lzma.LZMADecompressor(memlimit=2 * _MAX_WINDOW_BYTES),
        (lzma.LZMAError,),
        4096,
        True,
    ),
)


def _codec_of_name(path: str) -> _Codec | None:
    return next((codec for codec in _CODECS if path.endswith(codec.suffix)), None)


def _codec_of_magic(head: bytes) -> _Codec | None:
    return next((codec for codec in _CODECS if codec.magic.match(head)), None)


def is_compressed(path: str) -> bool:
    """Say whether the name of a file says that it is compressed."""
    return _codec_of_name(path) is not None


def read_blocks(path: str, start: int = 0, inflation: Inflation | None = None) -> Iterator[bytes | Fault]:
    """Yield the decompressed bytes of a file in blocks, and its faults where they lie.

    Args:
        path: file or URL; the extension says how it is compressed, and the magic number must agree.
        start: byte to start at; uncompressed files only.
        inflation: the limit on what it may give.

    Raises:
        StageError: if `start` is given for a compressed file.
    """
    codec = _codec_of_name(path)
    if start and codec:
        raise StageError(message(path, "compressed files cannot be cut", f"start {start}", "start 0"))
    with storage.open_read(path) as file:
        head = file.read(_MAGIC_BYTES)
        found = _codec_of_magic(head)
        damaged = found is None and codec is not None and codec.magic.search(file.read(_REREAD_BYTES))
        if head and found is not codec and not damaged:
            names = [c.suffix if c else "no compression" for c in (found, codec)]
            text = (
                f"compression and file name disagree: got {names[0]} by magic number; expected {names[1]} by file name"
            )
            yield Fault("compression_mismatch", text, storage.size_bytes(path))
            return
        file.seek(start)
        if codec:
            yield from (block for _, block in _decompress(file, codec, inflation or Inflation()))
        else:
            while block := file.read(PLAIN_BLOCK_BYTES):
                yield block


def read_members(
    path: str, start: int, end: int, inflation: Inflation | None = None
) -> Iterator[tuple[int, Iterator[bytes | Fault]]]:
    """Yield the members of a compressed file that lie in [start, end): where each starts, and its blocks.

    Args:
        path: file or URL; the extension says how it is compressed.
        start: compressed offset of a member.
        end: compressed offset of another member, or the size of the file.
        inflation: the limit on what they may give.
    """
    codec = _codec_of_name(path)
    if codec is None:
        raise StageError(message(path, "only compressed files have members", "no compression", "gz, zst, bz2 or xz"))
    with storage.open_read(path) as file:
        file.seek(start)
        tagged = _decompress(_Window(file, end - start), codec, inflation or Inflation())
        for member, blocks in itertools.groupby(tagged, key=lambda pair: pair[0]):
            yield start + member, (block for _, block in blocks)


class _Window:
    """The next `size` bytes of a file, as a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class _Compressed:
    """The compressed bytes of a file, with the last 1 MiB of the current member kept for a second look.

    Attributes:
        member: compressed offset at which the current member starts.
    """

    def __init__(self, file: IO[bytes] | _Window) -> None:
        self.member = 0
        self._file = file
        self._base, self._data, self._at = 0, b"", 0  # `data` starts at compressed offset `base`
        self._reread = 0

    @property
    def place(self) -> int:
        """Compressed offset of the next byte."""
        return self._base + self._at

    def take(self, count: int) -> bytes:
        """Take up to `count` bytes; none at the end of the file."""
        if self._at >= len(self._data):
            self._more(max(self.member - self._base, self._at - _REREAD_BYTES, 0))
        piece = self._data[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def give_back(self, count: int) -> None:
        """Undo the last `count` bytes."""
        self._at -= count

    def next_member(self) -> bool:
        """Go to the start of the next member; False at the end of the file.

        Zeros are passed over: tapes and block devices pad with them, and gzip, zcat and Python ignore them, too.
        """
        self.member = self.place
        while piece := self.take(_COMPRESSED_BLOCK_BYTES):
            rest = piece.lstrip(b"\0")
            if rest:
                self.give_back(len(rest))
                self.member = self.place
                return True
            self.member = self.place
        return False

    def find(self, magic: re.Pattern[bytes]) -> None:
        """Go to the next member after a fault, back if it was swallowed by the current one, else to the file's end.

        All that is read a second time is at most what was read once, so that no file can make this quadratic.
        """
        at = max(self.member + 1 - self._base, 0)
        hit = magic.search(self._data, at)
        back = self._at - hit.start() if hit else 0
        if back > 0 and self._reread + back > self.place + _REREAD_BYTES:
            hit, back = magic.search(self._data, self._at), 0
        while hit is None:
            at = max(at, len(self._data) - _MAGIC_BYTES)  # a magic number may lie across two blocks
            self._at = len(self._data)
            if not self._more(at):
                return
            hit, at = magic.search(self._data), 0
        self._reread += max(0, back)
        self._at = hit.start()

    def _more(self, keep_from: int) -> bool:
        """Read on, and keep what lies in `data` from `keep_from`."""
        new = self._file.read(_COMPRESSED_BLOCK_BYTES)
        if not new:
            return False
        self._data = self._data[keep_from:] + new
        self._base += keep_from
        self._at -= keep_from
        return True


class _Budget:
    """Counts what a file gives against what it takes; at no place may it be ahead by more than `free_bytes`."""

    def __init__(self, inflation: Inflation) -> None:
        self._inflation = inflation
        self._left: float = inflation.free_bytes
        self._counted = 0

    def take(self, place: int) -> None:
        """Count the compressed bytes up to an offset; bytes that are read again count once."""
        if place > self._counted:
            earned = (place - self._counted) * self._inflation.factor
            self._left = min(self._left, self._inflation.free_bytes) + earned
            self._counted = place

    def spend(self, given: int) -> bool:
        """Count decompressed bytes; False if they are too many."""
        self._left -= given
        return self._left >= 0

    def resume(self, place: int) -> None:
        """Count from nothing after a bomb: what follows it may be sound."""
        self._left, self._counted = 0.0, place


def _decompress(file: IO[bytes] | _Window, codec: _Codec, inflation: Inflation) -> Iterator[tuple[int, bytes | Fault]]:
    """Decompress member after member; every block comes with the compressed offset at which its member starts."""
    source, budget = _Compressed(file), _Budget(inflation)
    while source.next_member():
        member = source.member
        for block in _member(source, codec, budget, inflation):
            yield member, block


def _member(source: _Compressed, codec: _Codec, budget: _Budget, inflation: Inflation) -> Iterator[bytes | Fault]:
    """Yield the blocks of the member that starts here, and a fault if it cannot be read to its end."""
    decoder, given = codec.new(), 0
    while not decoder.eof:
        first = source.place
        piece = source.take(codec.feed_bytes)
        if not piece:
            text = (
                f"truncated {codec.suffix} stream: got the end of the file at compressed byte {first}; "
                f"expected the end of the member that starts at {source.member}"
            )
            source.find(codec.magic)
            yield Fault("truncated_compression", text, 0)
            return
        budget.take(source.place)
        try:
            for output in _outputs(decoder, piece, codec):
                given += len(output)
                if not budget.spend(len(output)):
                    text = (
                        f"decompression bomb: got {given} bytes or more from {source.place - source.member} in the "
                        f"{codec.suffix} member at compressed byte {source.member}; expected at most "
                        f"{inflation.factor:g} bytes per byte (limits.max_inflation) and {inflation.free_bytes} more"
                    )
                    source.find(codec.magic)
                    budget.resume(source.place)
                    yield Fault("inflation", text, max(0, source.place - first))
                    return
                yield output
        except codec.errors as error:
            source.find(codec.magic)
            text = (
                f"damaged {codec.suffix} stream: got {error} at compressed byte {first}; expected a valid stream. "
                "Compressed bytes that had to be skipped count as they are"
            )
            yield Fault("damaged_compression", text, max(0, source.place - first))
            return
    source.give_back(len(decoder.unused_data))


def _outputs(decoder: Any, piece: bytes, codec: _Codec) -> Iterator[bytes]:
    """Yield what a decoder makes of a piece."""
    if not codec.stops:
        output = decoder.decompress(piece)
        if output:
            yield output
        return
    output = decoder.decompress(piece, _OUTPUT_BYTES)
    while output:
        yield output
        if decoder.eof or decoder.needs_input:
            return
        output = decoder.decompress(b"", _OUTPUT_BYTES)
