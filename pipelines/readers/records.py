"""What readers yield: records, non-documents and bad records, which tile the bytes of a file.

Offsets and lengths are decompressed bytes (of UTF-16 files: of their text in UTF-8; Parquet and Arrow files
are tiled by their rows, see `columnar`). The items of a file follow each other without gap or overlap,
so their lengths sum exactly to the decompressed bytes of the file. Bytes that could not be decompressed
have no decompressed length: they count with their *compressed* length, at the place where they lie, and
the offsets after them go on from there (they stay unique, and the sum stays exact).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pipelines.contracts.recipe import Limits, Source
from pipelines.contracts.recipe_sources import Csv, Fields, Units
from pipelines.readers.compression import Inflation

RAW_BYTES = 1 << 16  # of a bad record that are kept


@dataclass(frozen=True, slots=True)
class Record:
    """One document as it lies in the file.

    Attributes:
        offset: decompressed byte offset.
        length: decompressed bytes of the whole record, framing and metadata included.
        content: the document's own bytes.
        kind: what the content is, which decides how text is extracted from it.
        native_id: id in the source, may repeat.
        url: address, if the source names one.
        date: date as the source gives it.
        charset: declared encoding of the content, if there is a declaration outside of it.
    """

    offset: int
    length: int
    content: bytes
    kind: Literal["html", "wikitext", "text"]
    native_id: str | None = None
    url: str | None = None
    date: str | None = None
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class NonDocument:
    """Bytes that are in order but hold no document: a request, a redirect, a blank line, markup."""

    offset: int
    length: int
    kind: str


@dataclass(frozen=True, slots=True)
class BadRecord:
    """Bytes that should have been a record and are not.

    Attributes:
        offset: decompressed byte offset.
        length: bytes lost.
        error: short name of the fault.
        message: what was found and what was expected.
        raw: first 64 KiB of what was at hand.
    """

    offset: int
    length: int
    error: str
    message: str
    raw: bytes = b""


Item = Record | NonDocument | BadRecord


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What readers need to know besides the bytes.

    Attributes:
        max_record_bytes: longer records become bad records and are never held in memory.
        max_page_bytes: longer bodies of HTTP responses, once decoded, become bad records.
        inflation: what a compressed file may give at most.
        fields: field mapping of records that have fields.
        text: what one document is in plain text.
        csv: how CSV and TSV files are written.
        encoding: declared encoding of plain text.
        start: start of the piece: a byte of plain JSONL or lines, a compressed byte of a multistream dump, a
            row group of Parquet, a record batch of Arrow.
        end: end of the piece in the same unit; None for "to the end of the file".
        poison: marks that `at` was called with when a worker died there; what lies there is not read again.
        at: called before bytes are given to a decoder that might kill the process.
    """

    max_record_bytes: int = 64_000_000
    max_page_bytes: int = 16_000_000
    inflation: Inflation = field(default_factory=Inflation)
    fields: Fields = field(default_factory=Fields)
    text: Units = field(default_factory=Units)
    csv: Csv = field(default_factory=Csv)
    encoding: str | None = None
    start: int = 0
    end: int | None = None
    poison: frozenset[int] = frozenset()
    at: Callable[[int], None] = lambda mark: None


def read_options(source: Source, limits: Limits, start: int = 0, end: int | None = None) -> ReadOptions:
    """Return what the reader of a source needs to know."""
    return ReadOptions(
        max_record_bytes=int(limits.max_record_mb * 1e6),
        max_page_bytes=int(limits.max_page_mb * 1e6),
        inflation=Inflation(limits.max_inflation, max(Inflation().free_bytes, int(limits.max_record_mb * 1e6))),
        fields=source.fields,
        text=source.text,
        csv=source.csv,
        encoding=source.encoding,
        start=start,
        end=end,
    )


class Opened(Protocol):
    """An input file, or a piece of one, opened for a reader."""

    @property
    def bytes_read(self) -> int:
        """Bytes of the items so far, counted by whoever holds the bytes and not by the reader."""

    def after(self, item: Item) -> int:
        """Return the place after an item; items follow each other without gaps."""

    def finished(self) -> bool:
        """Say whether nothing is left in the file."""


Reader = Callable[[Any, ReadOptions], Iterator[Item]]
"""Takes what the format's opener gives: a `ByteReader` for all but the columnar formats."""


def too_large(offset: int, length: int, limit: int, raw: bytes) -> BadRecord:
    """Make the bad record of a record beyond `limits.max_record_mb`."""
    text = f"record too large: got {length} bytes; expected at most {limit} (limits.max_record_mb = {limit / 1e6:g})"
    return BadRecord(offset, length, "too_large", text, raw[:RAW_BYTES])
