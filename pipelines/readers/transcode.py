"""UTF-16 files as UTF-8: dumps of old wikis, spreadsheets' "Unicode text".

Only the text formats ask for it. Offsets then count the bytes of the text in UTF-8; two bytes that are no UTF-16
are a fault, like compressed bytes that cannot be decompressed.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Callable, Iterator

from pipelines.readers.compression import Fault, read_blocks
from pipelines.readers.records import ReadOptions
from pipelines.readers.stream import ByteReader

_SNIFF_BYTES = 4
_HALF_CHARACTERS = re.compile("([\ud800-\udfff]+)")
_Decode = Callable[[bytes, str, bool], tuple[str, int]]


def open_text(path: str, options: ReadOptions) -> ByteReader:
    """Open a file of a text format, UTF-16 as UTF-8.

    The stream of a piece starts one byte early, so that the reader can see whether a line starts exactly there.
    """
    first = max(0, options.start - 1)
    return ByteReader(to_utf8(read_blocks(path, first, options.inflation)), first)


def utf16_name(head: bytes) -> str | None:
    """Name the UTF-16 form of a file by its mark, or by the zero halves of its first two characters.

    Args:
        head: at least the first four bytes of the file.
    """
    if head[:2] == codecs.BOM_UTF16_LE and head[:4] != codecs.BOM_UTF32_LE:
        return "utf-16-le"
    if head[:2] == codecs.BOM_UTF16_BE:
        return "utf-16-be"
    zeros = [byte == 0 for byte in head[:_SNIFF_BYTES]]
    return {(False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be"}.get(tuple(zeros))


def to_utf8(blocks: Iterator[bytes | Fault]) -> Iterator[bytes | Fault]:
    """Pass blocks on; those of a UTF-16 file as UTF-8 (its mark becomes U+FEFF)."""
    first = next(blocks, None)
    if first is None:
        return
    name = None if isinstance(first, Fault) else utf16_name(first)
    blocks = itertools.chain([first], blocks)
    if name is None:
        yield from blocks
    else:
        yield from _transcode(blocks, codecs.utf_16_le_decode if name == "utf-16-le" else codecs.utf_16_be_decode)


def _transcode(blocks: Iterator[bytes | Fault], decode: _Decode) -> Iterator[bytes | Fault]:
    pending = b""
    for block in blocks:
        if isinstance(block, Fault):
            yield Fault(block.error, block.message, block.length + len(pending))
            pending = b""
            continue
        parts, pending = _decode_block(pending + block, decode, final=False)
        yield from parts
    if pending:
        yield from _decode_block(pending, decode, final=True)[0]


def _decode_block(data: bytes, decode: _Decode, *, final: bool) -> tuple[list[bytes | Fault], bytes]:
    """Decode a block; what it gives, and the bytes of a character that is not whole yet.

    Half characters pass the decoder and are then looked for in the text: to decode again after each of them would
    take a time that grows with their square.
    """
    odd = data[len(data) - len(data) % 2 :] if final else b""
    text, used = decode(data[: len(data) - len(odd)], "surrogatepass", final)
    parts: list[bytes | Fault] = []
    for at, part in enumerate(_HALF_CHARACTERS.split(text)):
        if at % 2:
            parts.append(_damaged(f"{len(part)} half characters, the first U+{ord(part[0]):04X}", 2 * len(part)))
        elif part:
            parts.append(part.encode())
    if odd:
        parts.append(_damaged(f"byte {odd.hex()} at the end", 1))
    return parts, b"" if final else data[used:]


def _damaged(what: str, length: int) -> Fault:
    return Fault("damaged_encoding", f"damaged UTF-16: got {what}; expected characters", length)
