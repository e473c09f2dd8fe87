"""A window on the bytes of one file, in which readers look for marks and step over faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.readers.compression import PLAIN_BLOCK_BYTES, Fault, read_blocks
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, ReadOptions

_LARGE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes taken off a stream.

    Attributes:
        content: the bytes; if there were more than the limit, only the first 64 KiB.
        length: bytes taken.
        whole: whether `content` is all of them.
        found: whether the mark was there (False at the end of a segment, or where something else stopped it).
        stopped: whether the `stop` was there before the mark.
    """

    content: bytes
    length: int
    whole: bool
    found: bool
    stopped: bool = False


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

    def _forget(self) -> None:
        """Give the memory of large things that were taken back at once: their reader holds a copy of them."""
        if self._at > _LARGE_BYTES:
            del self._buffer[: self._at]
            self._at = 0

    def _held(self) -> int:
        return len(self._buffer) - self._at

    def _copy(self, start: int, count: int) -> bytes:
        """Copy bytes of the buffer; once, and not twice as a slice of it would."""
        return bytes(memoryview(self._buffer)[self._at + start : self._at + start + count])

    def hold(self, count: int) -> int:
        """Bring up to `count` next bytes of the segment to hand; returns how many there are."""
        while self._held() < count and self._fill():
            pass
        return min(self._held(), count)

    def peek(self, count: int, start: int = 0) -> bytes:
        """Return up to `count` bytes of the segment, `start` bytes ahead, without taking them."""
        self.hold(start + count)
        return self._copy(start, count)

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

    def until(self, mark: bytes, limit: int, give_back: int = 0, stop: bytes = b"") -> Taken:
        """Take everything up to and including a mark, or to the end of the segment.

        Args:
            mark: bytes to look for.
            limit: more bytes than this are passed over without being held.
            give_back: bytes of the mark, from its end, that stay on the stream.
            stop: other bytes, behind the first byte, before which to end if they come before the mark.
        """
        head, dropped, scanned, width = b"", 0, 0, max(len(mark), len(stop))
        while True:
            hit = self._buffer.find(mark, self._at + scanned)
            first = self._at + max(scanned, 0 if dropped else 1)
            halt = self._buffer.find(stop, first, hit if hit >= 0 else len(self._buffer)) if stop else -1
            if hit >= 0 or halt >= 0:
                length = (halt if halt >= 0 else hit + len(mark) - give_back) - self._at
                break
            scanned = max(0, self._held() - width + 1)
            if dropped + self._held() > limit:
                head = head or self._copy(0, RAW_BYTES)
                dropped += scanned
                self._at += scanned
                scanned = 0
            if not self._fill():
                length = self._held()
                break
        whole = not dropped and length <= limit
        content = head[: dropped + length] or self._copy(0, length if whole else min(length, RAW_BYTES))
        self._at += length
        self._forget()
        self.position += dropped + length
        return Taken(content, dropped + length, whole, hit >= 0 > halt, halt >= 0)

    def rest(self, limit: int) -> Taken:
        """Take everything to the end of the segment; `limit` as in `until`."""
        whole = self.hold(limit + 1) <= limit
        content = self._copy(0, limit if whole else RAW_BYTES)
        length = 0
        while step := self.skip(PLAIN_BLOCK_BYTES):
            length += step
        return Taken(content, length, whole, False)

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


def open_stream(path: str, options: ReadOptions | None = None) -> ByteReader:
    """Open a file of bytes for a reader."""
    return ByteReader(read_blocks(path, inflation=options.inflation if options else None))
