"""Survivor policies against sorting by plain Python keys, dates, and rehydration weights."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.contracts.dedup import Dedup, Quality
from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import Recipe, Source
from pipelines.ops.rules import signal_groups
from pipelines.ops.survivors import (
    NO_DATE,
    instant_of,
    instants,
    ordered_integers,
    rehydration_weights,
    survivor_ranks,
)

DATES = ("2024-05-01", "2024-05-01T00:00:01Z", "2024-05-01T02:00:00+02:00", "1969-12-31", "no date", "", None)
SIGNAL = "gopher_words"
ROW = st.tuples(
    st.integers(1, 5),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(DATES),
    st.one_of(st.floats(-2, 2), st.just(math.nan)),
)
POLICIES = {
    "longest": (Dedup(survivor="longest"), lambda r: -r[0]),
    "first": (Dedup(survivor="first"), lambda r: 0),
    "newest": (Dedup(survivor="newest"), lambda r: -instant_of(r[2])),
    "source_priority": (
        Dedup(survivor="source_priority", source_priority=("c", "a")),
        lambda r: {"c": 0, "a": 1}.get(r[1], 2),
    ),
    "higher": (
        Dedup(survivor="best_quality", quality=Quality(signal=SIGNAL)),
        lambda r: (math.isnan(r[3]), 0 if math.isnan(r[3]) else -r[3]),
    ),
    "lower": (
        Dedup(survivor="best_quality", quality=Quality(signal=SIGNAL, better="lower")),
        lambda r: (math.isnan(r[3]), 0 if math.isnan(r[3]) else r[3]),
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
@settings(deadline=None)
@given(rows=st.lists(ROW, max_size=12))
def test_ranks_sort_as_the_policy_says(policy: str, rows: list[tuple]) -> None:
    dedup, key = POLICIES[policy]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    documents = pa.table({"text_bytes": pa.array(columns[0], pa.int64()), "source": pa.array(columns[1], pa.string())})
    values = pa.array([None if math.isnan(value) else value for value in columns[3]], pa.float64())
    signals = pa.table({SIGNAL: values})
    dates = instants(pa.array(columns[2], pa.string()))
    ranks = survivor_ranks(documents, signals, dates, dedup)
    assert ranks.dtype == np.int64
    by_rank = sorted(range(len(rows)), key=lambda i: ranks[i])
    assert by_rank == sorted(range(len(rows)), key=lambda i: key(rows[i]))


@settings(deadline=None)
@given(st.lists(st.floats(), max_size=20))
def test_ordered_integers_keep_the_order_of_all_floats(values: list[float]) -> None:
    mapped = ordered_integers(np.array(values))
    for i, x in enumerate(values):
        for j, y in enumerate(values):
            assert (mapped[i] < mapped[j]) == (x < y or (not math.isnan(x) and math.isnan(y)))


def test_instants() -> None:
    found = [instant_of(date) for date in DATES]
    assert found[0] == found[2] == 1_714_521_600 * 10**6
    assert found[1] - found[0] == 10**6
    assert found[3] == -86_400 * 10**6
    assert found[4:] == [NO_DATE] * 3


def test_rehydration_weights_are_those_of_fineweb_2() -> None:
    sizes = np.array([0, 1, 2, 3, 4, 5, 99, 100, 999, 1000, 100_000])
    assert rehydration_weights(sizes, Dedup().rehydration).tolist() == [0, 1, 2, 3, 3, 5, 5, 8, 8, 1, 1]


def test_policies_must_be_whole() -> None:
    for wrong in (
        {"survivor": "best_quality"},
        {"quality": {"signal": SIGNAL}},
        {"survivor": "source_priority"},
        {"source_priority": ["a"]},
        {"rehydration": {2: 2}},
        {"rehydration": {1: 0}},
    ):
        with pytest.raises(ValidationError):
            Dedup.model_validate(wrong)
    source = Source(name="a", path=("x",), format="text")
    with pytest.raises(ValidationError, match="sources of this recipe"):
        Recipe(name="t", sources=(source,), dedup=Dedup(survivor="source_priority", source_priority=("b",)))
    for signal in ("lang", "gopher_wrods"):
        dedup = Dedup(survivor="best_quality", quality=Quality(signal=signal))
        with pytest.raises(ConfigError, match="not a numeric signal"):
            signal_groups(Recipe(name="t", sources=(source,), dedup=dedup))
    dedup = Dedup(survivor="best_quality", quality=Quality(signal="dolma_words"))
    assert "gopher_dolma" in signal_groups(Recipe(name="t", sources=(source,), dedup=dedup))
