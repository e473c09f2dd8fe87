"""Shares of strata: what the recipe states is met, the rest keeps its proportions, and no order enters."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ops.tokenizer_sample import drawn_fractions, stratum_shares

SIZES = {("web", "en"): 6000, ("web", "de"): 1000, ("wiki", "en"): 2000, ("wiki", "de"): 900, ("wiki", "fi"): 100}


def margin(shares: dict[tuple[str, str], float], side: int) -> Counter:
    found: Counter = Counter()
    for stratum, share in shares.items():
        found[stratum[side]] += share
    return found


def test_without_shares_strata_weigh_as_their_bytes() -> None:
    assert stratum_shares(SIZES, {}, {}, 1.0) == pytest.approx(
        {stratum: size / 10_000 for stratum, size in SIZES.items()}
    )
    assert stratum_shares(SIZES, {}, {}, 0.0) == pytest.approx(dict.fromkeys(SIZES, 0.2))
    half = stratum_shares(SIZES, {}, {}, 0.5)
    assert half["web", "en"] / half["wiki", "fi"] == pytest.approx(math.sqrt(60))


def test_stated_shares_are_met_and_the_rest_keeps_its_proportions() -> None:
    shares = stratum_shares(SIZES, {}, {"fi": 0.3}, 1.0)
    assert shares["wiki", "fi"] == pytest.approx(0.3)
    assert shares["web", "en"] / shares["wiki", "de"] == pytest.approx(6000 / 900)
    both = stratum_shares(SIZES, {"wiki": 0.7}, {"fi": 0.2, "de": 0.3}, 1.0)
    assert margin(both, 0)["wiki"] == pytest.approx(0.7)
    assert margin(both, 1) == pytest.approx({"fi": 0.2, "de": 0.3, "en": 0.5})


@given(
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(0, 10**12), max_size=9),
    st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 0.3), max_size=3),
    st.dictionaries(st.sampled_from("xyz"), st.floats(0.01, 0.3), max_size=3),
    st.floats(0, 1),
)
def test_shares_are_a_division_of_the_sample(sizes: dict, sources: dict, languages: dict, smoothing: float) -> None:
    shares = stratum_shares(sizes, sources, languages, smoothing)
    assert shares.keys() == {stratum for stratum, size in sizes.items() if size}
    assert not shares or sum(shares.values()) == pytest.approx(1)
    assert all(share >= 0 for share in shares.values())
    mirrored = stratum_shares(dict(reversed(sizes.items())), dict(reversed(sources.items())), languages, smoothing)
    assert mirrored == shares
    for name, share in sources.items() if not languages else ():
        others = {source for source, _ in shares} - sources.keys()
        if others and any(source == name for source, _ in shares) and sources.keys() <= {s for s, _ in shares}:
            assert margin(shares, 0)[name] == pytest.approx(share)


def test_a_small_stratum_gives_all_it_has_and_nobody_makes_up_for_it() -> None:
    fractions = drawn_fractions(SIZES, stratum_shares(SIZES, {}, {"fi": 0.5}, 1.0), 1000)
    assert fractions["wiki", "fi"] == 1.0
    assert fractions["web", "en"] == pytest.approx(0.5 * 1000 / 9900)
