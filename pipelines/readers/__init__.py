"""Readers cut raw files into records. One small file per format; a reader never raises for bad bytes.

`read(stream, options)` yields `Record`, `NonDocument` and `BadRecord` items that tile the bytes of the file.
"""

from __future__ import annotations

from pipelines.readers import jsonl, mediawiki, text, warc
from pipelines.readers.records import Reader

READERS: dict[str, Reader] = {
    "warc": warc.read,
    "mediawiki": mediawiki.read,
    "jsonl": jsonl.read,
    "text": text.read,
}
