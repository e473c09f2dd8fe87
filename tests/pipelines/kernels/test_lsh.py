"""Band keys against datasketch's LSH index, star edges against all pairs of each key."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from datasketch import LeanMinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.kernels.lsh import band_keys, collision_probability, group_by_key, repeated_keys, star_edges


def similar_signatures(rows: int, num_perm: int, seed: int) -> np.ndarray:
    """Signatures in families: values of a family's first one, each replaced with probability 0 to .4."""
    generator = np.random.default_rng(seed)
    families = generator.integers(0, 2**32, (rows // 5, num_perm), np.uint32)
    signatures = families[generator.integers(0, len(families), rows)]
    replaced = generator.random(signatures.shape) < generator.uniform(0, 0.4, (rows, 1))
    return np.where(replaced, generator.integers(0, 2**32, signatures.shape, np.uint32), signatures)


def mix64(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def test_candidates_are_those_of_datasketch() -> None:
    signatures = similar_signatures(300, 112, seed=3)
    keys = band_keys(signatures, 14, 8)
    index = MinHashLSH(num_perm=112, params=(14, 8))
    rows = [LeanMinHash(seed=1, hashvalues=row, scheme="affine32") for row in signatures]
    for i, row in enumerate(rows):
        index.insert(i, row)
    found = 0
    for i, row in enumerate(rows):
        expected = set(index.query(row))
        assert set(np.flatnonzero((keys == keys[i]).any(axis=1)).tolist()) == expected
        found += len(expected) - 1
    assert found > 100


def test_band_keys_are_their_definition() -> None:
    signatures = similar_signatures(20, 13, seed=4)
    keys = band_keys(signatures[:, ::1], 4, 3)
    assert keys.dtype == np.uint64
    for row, band in itertools.product(range(20), range(4)):
        key = band
        for value in signatures[row, band * 3 : band * 3 + 3].tolist():
            key = mix64((key + 0x9E3779B97F4A7C15) % 2**64 ^ value)
        assert keys[row, band] == key


def test_bands_with_the_same_values_have_different_keys() -> None:
    keys = band_keys(np.zeros((3, 112), np.uint32), 14, 8)
    assert len(np.unique(keys)) == 14
    assert (keys[0] == keys[2]).all()


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.integers(0, 9) | st.sampled_from([2**12, 2**40, 2**64 - 1]) | st.integers(0, 2**64 - 1), max_size=40)
)
def test_no_repeated_key_is_missed(keys: list[int]) -> None:
    found = repeated_keys(np.array(keys, np.uint64)).tolist()
    assert found == sorted(set(found))
    assert {i for i, key in enumerate(keys) if keys.count(key) > 1} <= set(found) <= set(range(len(keys)))


def test_few_other_keys_are_taken_for_repeated() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64)
    assert len(np.unique(keys)) == len(keys)
    assert len(repeated_keys(keys)) < 0.3 * len(keys)


def test_bands_must_fit() -> None:
    signatures = np.zeros((2, 112), np.uint32)
    with pytest.raises(ValueError, match="got 15 x 8 for 112 values"):
        band_keys(signatures, 15, 8)
    with pytest.raises(ValueError, match="at least 1 x 1"):
        band_keys(signatures, 0, 8)
    with pytest.raises(TypeError, match="expected 2-d uint32"):
        band_keys(signatures.astype(np.uint64), 14, 8)
    assert band_keys(signatures[:0], 14, 8).shape == (0, 14)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30))
def test_groups_hold_equal_keys(keys: list[int]) -> None:
    order, starts = group_by_key(np.array(keys, np.uint64))
    assert sorted(order.tolist()) == list(range(len(keys)))
    groups = [{keys[i] for i in order[a:b]} for a, b in itertools.pairwise(starts)]
    assert groups == [{key} for key in sorted(set(keys))]


def all_pairs(keys: list[int], nodes: list[int]) -> set[tuple[int, int]]:
    of_key: dict[int, set[int]] = {}
    for key, node in zip(keys, nodes, strict=True):
        of_key.setdefault(key, set()).add(node)
    return {pair for group in of_key.values() for pair in itertools.combinations(sorted(group), 2)}


@settings(deadline=None)
@given(
    entries=st.lists(st.tuples(st.integers(2**63, 2**63 + 6), st.integers(0, 12)), max_size=40),
    shuffle=st.randoms(use_true_random=False),
)
def test_star_edges(entries: list[tuple[int, int]], shuffle: object) -> None:
    keys, nodes = [k for k, _ in entries], [v for _, v in entries]
    least, other = star_edges(np.array(keys, np.uint64), np.array(nodes, np.uint64))
    edges = list(zip(least.tolist(), other.tolist(), strict=True))
    pairs = all_pairs(keys, nodes)
    least_of_key = {key: min(v for k, v in entries if k == key) for key in keys}
    assert edges == sorted({(least_of_key[k], v) for k, v in entries if v != least_of_key[k]})
    assert set(edges) <= pairs
    assert (components(edges) == components(list(pairs))).all()
    shuffle.shuffle(entries)
    again = star_edges(*(np.array(column, np.uint64) for column in ([k for k, _ in entries], [v for _, v in entries])))
    assert (again[0] == least).all()
    assert (again[1] == other).all()


def components(edges: list[tuple[int, int]]) -> np.ndarray:
    source, target = np.array(edges, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(13, 13))
    return connected_components(graph, directed=False)[1]


def test_collision_probability_is_what_happens() -> None:
    generator = np.random.default_rng(8)
    pairs = 4000
    first = generator.integers(0, 2**32, (pairs, 112), np.uint32)
    for similarity in (0.6, 0.75, 0.85):
        second = np.where(generator.random(first.shape) < similarity, first, first + np.uint32(1))
        share = (band_keys(first, 14, 8) == band_keys(second, 14, 8)).any(axis=1).mean()
        expected = float(collision_probability(similarity, 14, 8))
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / pairs)
    np.testing.assert_allclose(collision_probability([0.0, 0.8, 1.0], 14, 8), [0, 1 - (1 - 0.8**8) ** 14, 1])
