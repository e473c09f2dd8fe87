"""The labelled pages, and how an extraction is scored.

The pages are not ours to copy: they are read from `$MIXTRACE_SHARED_DATA/extraction-dev` (see its README): 88 pages
with the article written down by hand (Scrapinghub's article-extraction-benchmark) and 130 with the main content as
people reviewed it (Mozilla's Readability).
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from resiliparse.extract.html2text import extract_plain_text

from pipelines.ops.extract import decode_html

_TOKEN = re.compile(r"\w+")
_SHINGLE_TOKENS = 4


@dataclass(frozen=True)
class LabelledPage:
    """A page and its true text."""

    key: str
    origin: str  # "article" or "readability"
    html: str
    truth: str


def data_folder() -> Path:
    """Return where the labelled pages lie."""
    default = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("MIXTRACE_SHARED_DATA", default)) / "extraction-dev"


def labelled_pages() -> list[LabelledPage]:
    """Read all labelled pages, ordered by origin and key.

    Raises:
        FileNotFoundError: if the data is not there.
    """
    folder = data_folder()
    truths = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    pages = [
        LabelledPage(key, "article", _read(folder / f"html/{key}.html.gz"), truths[key]["articleBody"])
        for key in sorted(truths)
    ]
    for path in sorted((folder / "readability").glob("*.source.html.gz")):
        expected = _read(path.with_name(path.name.replace(".source.", ".expected.")))
        truth = extract_plain_text(expected, main_content=False, alt_texts=False)
        pages.append(LabelledPage(path.name.split(".")[0], "readability", _read(path), truth))
    return pages


def _read(path: Path) -> str:
    return decode_html(gzip.decompress(path.read_bytes()), None)[0]


def tokens(text: str) -> list[str]:
    r"""Cut a text into runs of `\w`, as article-extraction-benchmark's evaluate.py does."""
    return _TOKEN.findall(text)


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = tokens(text)
    last = max(1, len(words) - _SHINGLE_TOKENS + 1)
    return Counter(tuple(words[at : at + _SHINGLE_TOKENS]) for at in range(last))


def overlap(truth: str, found: str) -> tuple[float, float, float]:
    """Compare two texts by their 4-grams, as article-extraction-benchmark does (`string_shingle_matching`).

    Returns:
        Shares (true positive, false positive, false negative) of all 4-grams of both.
    """
    true, got = _shingles(truth), _shingles(found)
    counts = [(true & got).total(), (got - true).total(), (true - got).total()]
    whole = sum(counts)
    return counts[0] / whole, counts[1] / whole, counts[2] / whole


def precision_recall_f1(overlaps: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Return mean precision, mean recall and the harmonic mean of these two, as the benchmark defines its F1."""
    shares = np.asarray(overlaps)
    hit, wrong, missed = shares.T
    precision = np.where(wrong + missed == 0, 1.0, hit / np.maximum(hit + wrong, 1e-300)).mean()
    recall = np.where(wrong + missed == 0, 1.0, hit / np.maximum(hit + missed, 1e-300)).mean()
    return float(precision), float(recall), float(2 * precision * recall / (precision + recall))
