"""Which of several duplicates stays: every policy as one integer per document, less being better."""

from __future__ import annotations

import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.dedup import Dedup

NO_DATE: Final = -(2**62)
"""The instant of a document without a date that can be read: older than any other."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def instant_of(date: str | None) -> int:
    """Return microseconds since 1970 of an ISO 8601 date, UTC if it names no zone; NO_DATE if it is none.

    >>> instant_of("1970-01-01T01:00:01+01:00")
    1000000
    >>> instant_of("yesterday") == NO_DATE
    True
    """
    try:
        moment = datetime.datetime.fromisoformat(date or "")
    except ValueError:
        return NO_DATE
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH) // _MICROSECOND


def instants(dates: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return `instant_of` of every date, int64 `[rows]`; dates of a crawl repeat, and each is read once."""
    column = pc.dictionary_encode(pc.fill_null(dates, ""))
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    read = np.array([instant_of(date) for date in chunk.dictionary.to_pylist()], np.int64)
    return read[chunk.indices.to_numpy()]


def survivor_ranks(documents: pa.Table, signals: pa.Table, instant: np.ndarray, dedup: Dedup) -> np.ndarray:
    """Rank documents by the survivor policy; content hash and doc_id break ties elsewhere.

    Args:
        documents: [rows] with text_bytes and source.
        signals: [rows] with the quality signal, for `best_quality`.
        instant: int64 [rows] from `instants`, for `newest`.
        dedup: the policy.

    Returns:
        int64 [rows]; the least stays.
    """
    if dedup.survivor == "longest":
        return -documents["text_bytes"].to_numpy()
    if dedup.survivor == "newest":
        return -instant
    if dedup.survivor == "source_priority":
        place = pc.index_in(documents["source"], pa.array(dedup.source_priority, pa.string()))
        return pc.fill_null(place, len(dedup.source_priority)).to_numpy().astype(np.int64)
    if dedup.survivor == "best_quality":
        assert dedup.quality is not None
        values = signals[dedup.quality.signal].cast(pa.float64()).to_numpy()
        return ordered_integers(values if dedup.quality.better == "lower" else -values)
    return np.zeros(documents.num_rows, np.int64)


def ordered_integers(values: np.ndarray) -> np.ndarray:
    """Map float64 to int64 so that the order stays; -0.0 is 0.0, and what is no number comes last.

    >>> ordered_integers(np.array([1.5, -2.0, np.nan, 0.0, -0.0])).argsort(kind="stable").tolist()
    [1, 3, 4, 0, 2]
    """
    bits = (values + 0.0).view(np.int64)
    ordered = np.where(bits < 0, np.int64(-(2**63)) - bits, bits)
    return np.where(np.isnan(values), np.int64(2**63 - 1), ordered)


def rehydration_weights(cluster_size: np.ndarray, table: dict[int, int]) -> np.ndarray:
    """Return how often a kept document should be repeated, by the documents that it stands for.

    Documents that many copies were made of tend to be worth repeating, up to the point where copies mean
    boilerplate (FineWeb-2: Penedo et al. 2025, arXiv:2506.20920; the default table is theirs).

    Args:
        cluster_size: int64 [rows]: the document and those removed in its favour; 0 if it does not stay.
        table: weight by least cluster size; has an entry for 1.

    Returns:
        int32 [rows]; 0 for documents that do not stay.
    """
    sizes = np.array(sorted(table), np.int64)
    weights = np.array([0, *(table[size] for size in sizes.tolist())], np.int32)
    return weights[np.searchsorted(sizes, cluster_size, side="right")]
