"""Readers cut raw files into records. One small file per format; a reader never raises for bad bytes.

`read(opened, options)` yields `Record`, `NonDocument` and `BadRecord` items that tile the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.readers import columnar, delimited, jsonl, mediawiki, text, warc
from pipelines.readers.records import Opened, Reader, ReadOptions
from pipelines.readers.stream import open_stream
from pipelines.readers.transcode import open_text


@dataclass(frozen=True)
class Format:
    """How a format is opened and read.

    Attributes:
        open: opens a file, or a piece of one.
        read: yields its items.
    """

    open: Callable[[str, ReadOptions], Opened]
    read: Reader


READERS: dict[str, Format] = {
    "warc": Format(open_stream, warc.read),
    "mediawiki": Format(mediawiki.open_dump, mediawiki.read),
    "jsonl": Format(open_text, jsonl.read),
    "csv": Format(open_text, delimited.reader(",")),
    "tsv": Format(open_text, delimited.reader("\t")),
    "parquet": Format(columnar.ParquetRows, columnar.read),
    "arrow": Format(columnar.ArrowRows, columnar.read),
    "text": Format(open_text, text.read),
}
