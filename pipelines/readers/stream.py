"""Bytes of plain or compressed files, in bounded memory, with every fault turned into data.

A file is a sequence of segments: runs of decompressed bytes, separated by faults (bytes that could not be
decompressed). After a fault, decompression goes on at the next member, frame or stream that starts with its
magic number, so that one broken member of a WARC file costs one record.
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
from pipelines.readers.records import RAW_BYTES, BadRecord, Item

_PLAIN_BLOCK_BYTES = 1 << 20
_COMPRESSED_BLOCK_BYTES = 1 << 18
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


@dataclass(frozen=True)
class _Codec:
    """A compression format.

    Attributes:
        suffix: file name extension.
        magic: matches the start of a member.
        new: makes a decoder of one member, with `decompress`, `eof` and `unused_data`.
        errors: what the decoder raises on damaged bytes.
        feed_bytes: bytes given to the decoder at once. A decoder that raises loses the output of that call,
            and a bomb's output of one call is held in memory: both are bounded by keeping this small
            (at most 1 KiB -> 32 MB for zstd, 4 KiB -> 4 MB for gzip).
    """

    suffix: str
    magic: re.Pattern[bytes]
    new: Callable[[], Any]
    errors: tuple[type[Exception], ...]
    feed_bytes: int


_CODECS = (
    _Codec(
        ".gz",
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
        lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
        (igzip_lib.IsalError,),
        4096,
    ),
    _Codec(
        ".zst",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        lambda: zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj(),
        (zstandard.ZstdError,),
        1024,
    ),
    _Codec(
        ".bz2",
        re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
        bz2.BZ2Decompressor,
        (OSError, ValueError),
        4096,
    ),
    _Codec(
        ".xz",
        re.compile(rb"\xfd7zXZ\x00"),
        lambda: lzma.LZMADecompressor(memlimit=2 * _MAX_WINDOW_BYTES),
        (lzma.LZMAError,),
        4096,
    ),
)


def _codec_of_name(path: str) -> _Codec | None:
    return next((codec for codec in _CODECS if path.endswith(codec.suffix)), None)


def _codec_of_magic(head: bytes) -> _Codec | None:
    return next((codec for codec in _CODECS if codec.magic.match(head)), None)


def is_compressed(path: str) -> bool:
    """Say whether the name of a file says that it is compressed."""
    return _codec_of_name(path) is not None


def read_blocks(path: str, start: int = 0) -> Iterator[bytes | Fault]:
    """Yield the decompressed bytes of a file in blocks, and its faults where they lie.

    Args:
        path: file or URL; the extension says how it is compressed, and the magic number must agree.
        start: byte to start at; uncompressed files only.

    Raises:
        StageError: if `start` is given for a compressed file.
    """
    codec = _codec_of_name(path)
    if start and codec:
        raise StageError(message(path, "compressed files cannot be cut", f"start {start}", "start 0"))
    with storage.open_read(path) as file:
        head = file.read(_MAGIC_BYTES)
        found = _codec_of_magic(head)
        if head and found is not codec:
            names = [c.suffix if c else "no compression" for c in (found, codec)]
            text = (
                f"compression and file name disagree: got {names[0]} by magic number; expected {names[1]} by file name"
            )
            yield Fault("compression_mismatch", text, storage.size_bytes(path))
            return
        file.seek(start)
        if codec:
            yield from (block for _, block in _decompress(file, codec))
        else:
            while block := file.read(_PLAIN_BLOCK_BYTES):
                yield block


def read_members(path: str, start: int, end: int) -> Iterator[tuple[int, Iterator[bytes | Fault]]]:
    """Yield the members of a compressed file that lie in [start, end): where each starts, and its blocks.

    Args:
        path: file or URL; the extension says how it is compressed.
        start: compressed offset of a member.
        end: compressed offset of another member, or the size of the file.
    """
    codec = _codec_of_name(path)
    if codec is None:
        raise StageError(message(path, "only compressed files have members", "no compression", "gz, zst, bz2 or xz"))
    with storage.open_read(path) as file:
        file.seek(start)
        tagged = _decompress(_Window(file, end - start), codec)
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


def _decompress(file: IO[bytes] | _Window, codec: _Codec) -> Iterator[tuple[int, bytes | Fault]]:
    """Decompress member after member; every block comes with the compressed offset at which its member starts."""
    base, data, at = 0, file.read(_COMPRESSED_BLOCK_BYTES), 0  # `data` starts at compressed offset `base`
    member: int | None = None  # compressed offset at which the current member starts
    decoder = None
    while True:
        if at >= len(data):
            base, data, at = base + len(data), file.read(_COMPRESSED_BLOCK_BYTES), 0
            if not data:
                break
        if member is None:
            if data[at] == 0:  # tapes and block devices pad with zeros; gzip, zcat and Python ignore them, too
                padding = len(data) - at - len(data[at:].lstrip(b"\0"))
                at += padding
                continue
            member, decoder = base + at, codec.new()
        piece = data[at : at + codec.feed_bytes]
        try:
            output = decoder.decompress(piece)
        except codec.errors as error:
            first = base + at
            base, data, at = _resynchronise(file, codec, base, data, at + (member == first))
            lost = base + at - first
            text = (
                f"damaged {codec.suffix} stream: got {error} at compressed byte {first}; expected a valid stream. "
                "Compressed bytes that had to be skipped count as they are"
            )
            yield member, Fault("damaged_compression", text, lost)
            member = None
            continue
        if output:
            yield member, output
        at += len(piece)
        if decoder.eof:
            at -= len(decoder.unused_data)
            member = None
    if member is not None:
        text = (
            f"truncated {codec.suffix} stream: got the end of the file at compressed byte {base}; "
            f"expected the end of the member that starts at {member}"
        )
        yield member, Fault("truncated_compression", text, 0)


def _resynchronise(file: IO[bytes] | _Window, codec: _Codec, base: int, data: bytes, at: int) -> tuple[int, bytes, int]:
    """Find the next member after a fault; returns the new (base, data, at), at the end of the file if there is none."""
    while True:
        hit = codec.magic.search(data, at)
        if hit:
            return base, data, hit.start()
        more = file.read(_COMPRESSED_BLOCK_BYTES)
        if not more:
            return base, data, len(data)
        keep = min(_MAGIC_BYTES, len(data) - at) if at < len(data) else 0
        base, data, at = base + len(data) - keep, data[len(data) - keep :] + more, 0


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes taken off a stream.

    Attributes:
        content: the bytes; if there were more than the limit, only the first 64 KiB.
        length: bytes taken.
        whole: whether `content` is all of them.
        found: whether the mark was there (False at the end of a segment).
    """

    content: bytes
    length: int
    whole: bool
    found: bool


class ByteReader:
    """A window on the decompressed bytes of one file.

    Attributes:
        position: decompressed offset of the next byte (see `records` for bytes lost to faults).
        origin: offset of the first byte that belongs to the reader's piece.
    """

    def __init__(self, blocks: Iterator[bytes | Fault], position: int = 0) -> None:
        self.position = position
        self.origin = position
        self._blocks = blocks
        self._buffer = bytearray()
        self._at = 0
        self._ended = False  # the current segment has no more blocks
        self._fault: Fault | None = None  # what ended it; None: end of the file

    def _fill(self) -> bool:
        """Append the next block of the segment; False at its end."""
        if self._ended:
            return False
        block = next(self._blocks, None)
        if block is None or isinstance(block, Fault):
            self._ended, self._fault = True, block
            return False
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += block
        return True

    def _held(self) -> int:
        return len(self._buffer) - self._at

    def peek(self, count: int) -> bytes:
        """Return up to `count` next bytes of the segment without taking them."""
        while self._held() < count and self._fill():
            pass
        return bytes(self._buffer[self._at : self._at + count])

    def skip(self, count: int) -> int:
        """Take up to `count` bytes of the segment without keeping them; returns how many."""
        left = count
        while left:
            if not self._held() and not self._fill():
                break
            step = min(left, self._held())
            self._at += step
            left -= step
        self.position += count - left
        return count - left

    def until(self, mark: bytes, limit: int, give_back: int = 0) -> Taken:
        """Take everything up to and including a mark, or to the end of the segment.

        Args:
            mark: bytes to look for.
            limit: more bytes than this are passed over without being held.
            give_back: bytes of the mark, from its end, that stay on the stream.
        """
        head, dropped, scanned = b"", 0, 0
        while True:
            hit = self._buffer.find(mark, self._at + scanned)
            if hit >= 0:
                length = hit + len(mark) - give_back - self._at
                break
            scanned = max(0, self._held() - len(mark) + 1)
            if dropped + self._held() > limit:
                head = head or bytes(self._buffer[self._at : self._at + RAW_BYTES])
                dropped += scanned
                self._at += scanned
                scanned = 0
            if not self._fill():
                length = self._held()
                break
        whole = not dropped and length <= limit
        content = head or bytes(self._buffer[self._at : self._at + (length if whole else min(length, RAW_BYTES))])
        self._at += length
        self.position += dropped + length
        return Taken(content, dropped + length, whole, hit >= 0)

    def rest(self, limit: int) -> Taken:
        """Take everything to the end of the segment; `limit` as in `until`."""
        content = self.peek(limit + 1)
        length = 0
        while step := self.skip(_PLAIN_BLOCK_BYTES):
            length += step
        whole = length <= limit
        return Taken(content if whole else content[:RAW_BYTES], length, whole, False)

    def drop_until(self, mark: bytes) -> None:
        """Leave everything up to and including a mark to the piece before; this piece starts after it."""
        self.until(mark, 0)
        self.origin = self.position

    @property
    def bytes_read(self) -> int:
        """Bytes taken so far, those lost to faults included."""
        return self.position - self.origin

    def after(self, item: Item) -> int:
        """Return the place after an item."""
        return item.offset + item.length

    def finished(self) -> bool:
        """Say whether nothing is left in the file."""
        return self.at_end() and self.next_segment() is None

    def at_end(self) -> bool:
        """Say whether the segment has no more bytes."""
        return not self._held() and not self._fill()

    def next_segment(self) -> Fault | None:
        """Step over the fault at the end of a segment; None at the end of the file."""
        fault, self._fault = self._fault, None
        if fault is None:
            return None
        self._ended = False
        lost = fault.length
        while not self._fill() and self._fault is not None:  # faults with nothing between them are one
            lost += self._fault.length
            self._fault, self._ended = None, False
        self.position += lost
        return fault if lost == fault.length else Fault(fault.error, fault.message, lost)


def broken_by(fault: Fault, offset: int, length: int, raw: bytes) -> BadRecord:
    """Make the one bad record of a fault and of the record that it cut short.

    Args:
        fault: the fault.
        offset: where the cut record starts.
        length: bytes of it that could be read.
        raw: these bytes.
    """
    return BadRecord(offset, length + fault.length, fault.error, fault.message, raw[:RAW_BYTES])


def open_stream(path: str) -> ByteReader:
    """Open a file of bytes for a reader."""
    return ByteReader(read_blocks(path))
