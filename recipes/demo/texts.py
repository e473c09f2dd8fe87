"""Text work of the demo corpora: tags off, news cut into documents, subsets, names that tell the work of an edition."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

MIN_NEWS_CHARS = 900  # paragraphs are joined until a document is longer than this
_HIDDEN = re.compile(rb"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->")
_TAG = re.compile(rb"(?s)<[^>]*>")

# The Folio spells titles its own way; these names of the modern edition make the pair meet.
_FOLIO_TITLES = {
    "all_is_well_that_ends_well": "alls_well_that_ends_well",
    "anthonie_and_cleopatra": "antony_and_cleopatra",
    "comedy_of_errours": "comedy_of_errors",
    "loves_labour_lost": "loves_labours_lost",
    "midsummer_nights_dreame": "midsummer_nights_dream",
    "titus_andronicus": "tragedy_of_titus_andronicus",
    "twelfe-night": "twelfth_night",
}


def strip_pos_tags(line: str) -> str:
    """Join the words of a tagged line (`word/tag  word/tag`), leaving the part-of-speech tags out."""
    return "".join(token.rpartition("/")[0] or token for token in line.split())


def cut_documents(paragraphs: Iterable[str], min_chars: int = MIN_NEWS_CHARS) -> list[str]:
    """Join paragraphs (in order, by a line end) into documents of more than `min_chars` characters.

    What is left at the end goes to the last document, so that no text is lost and none is short.
    """
    documents: list[str] = []
    current: list[str] = []
    chars = 0
    for paragraph in paragraphs:
        if paragraph:
            current.append(paragraph)
            chars += len(paragraph)
        if chars > min_chars:
            documents.append("\n".join(current))
            current, chars = [], 0
    if current:
        rest = "\n".join(current)
        documents = [*documents[:-1], f"{documents[-1]}\n{rest}"] if documents else [rest]
    return documents


def visible_bytes(page: bytes) -> int:
    """About the size of a page's text: HTML without scripts, styles, head, comments, tags and runs of spaces."""
    text = html.unescape(_TAG.sub(b" ", _HIDDEN.sub(b" ", page)).decode("utf-8", "replace"))
    return len(" ".join(text.split()).encode())


def choose_keys(bytes_by_key: Mapping[str, int], budget_bytes: float) -> set[str]:
    """Choose keys in the order of their SHA-256 until the budget is reached.

    The order depends on the keys alone, so a smaller budget chooses a subset of what a larger one does, and what
    shares a key (two editions, exact duplicates) is taken or left together.
    """
    chosen: set[str] = set()
    total = 0
    for key in sorted(bytes_by_key, key=lambda key: (hashlib.sha256(key.encode()).digest(), key)):
        if total >= budget_bytes:
            break
        chosen.add(key)
        total += bytes_by_key[key]
    return chosen


def book_name(author: str, stem: str) -> str:
    """File name `<work>--<edition>.txt`: editions of one work share what stands before the two hyphens.

    Milton's collected poems contain his single ones, so all of his verse counts as one work.
    """
    if author == "milton":
        work = "milton-areopagitica" if stem.startswith("areopagitica") else "milton-verse"
        return f"{work}--{re.sub(r'[^a-z0-9]+', '-', stem).strip('-')}.txt"
    edition = "folio" if stem.endswith("_f") else "modern"
    title = stem.removesuffix("_f").removesuffix("_gut")
    title = _FOLIO_TITLES.get(title, title) if edition == "folio" else title
    return f"{re.sub(r'[^a-z0-9]+', '-', title)}--{edition}.txt"


def write_jsonl_gz(path: Path, rows: Iterable[Mapping[str, str]]) -> int:
    """Write one object per line, UTF-8, gzip without a time; returns the number of rows."""
    count = 0
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            count += 1
    return count
