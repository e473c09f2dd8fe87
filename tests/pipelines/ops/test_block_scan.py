"""Scans in blocks against one scan of all documents."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.dedup import Near
from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys
from pipelines.ops.block_scan import Sketches, cut_blocks, scan_in_blocks

NEAR = Near(num_perm=8, bands=4, rows=1, threshold=0.5)
# signatures of few values and sets of few elements, so that documents match often and independently
DOCUMENT = st.tuples(st.tuples(*[st.integers(0, 2)] * 8), st.frozensets(st.integers(0, 7), max_size=8))


class Store:
    """Documents in memory that notes how much is asked for at a time."""

    def __init__(self, documents: list) -> None:
        self.documents, self.largest = documents, 0

    def load(self, rows: np.ndarray) -> Sketches:
        chosen = [self.documents[i] for i in rows.tolist()]
        self.largest = max(self.largest, len(chosen))
        signatures = np.array([d[0] for d in chosen], np.uint32).reshape(len(chosen), 8)
        shingles = np.array([h for d in chosen for h in sorted(d[1])], np.uint64)
        return Sketches(signatures, shingles, np.cumsum([0, *(len(d[1]) for d in chosen)], dtype=np.int64))


@settings(deadline=None, max_examples=200)
@given(
    components=st.lists(st.lists(DOCUMENT, min_size=1, max_size=16), min_size=1, max_size=3),
    block=st.integers(1, 6),
)
def test_blocks_give_the_leaders_of_one_scan(components: list[list], block: int) -> None:
    components = [  # documents of different components share no key
        [(tuple(10 * c + value for value in signature), shingles) for signature, shingles in component]
        for c, component in enumerate(components)
    ]
    groups = np.repeat(np.arange(len(components)), [len(c) for c in components])
    store = Store([document for component in components for document in component])
    found, similarity = scan_in_blocks(store.load, groups, np.ones(len(groups), np.int64), NEAR, block)
    assert store.largest <= 2 * block
    start = 0
    for component in components:  # one scan for each component
        sketches = Store(component).load(np.arange(len(component)))
        leader, value = leader_scan(band_keys(sketches.signatures, 4, 1), *sketches, NEAR.threshold)
        np.testing.assert_array_equal(found[start : start + len(component)], start + leader)
        np.testing.assert_array_equal(similarity[start : start + len(component)], value)
        start += len(component)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(DOCUMENT, st.booleans()), min_size=1, max_size=16), st.integers(1, 6))
def test_pinned_documents_are_kept_and_lead_first(documents: list, block: int) -> None:
    documents = sorted(documents, key=lambda document: not document[1])
    pinned = np.array([document[1] for document in documents])
    store = Store([document[0] for document in documents])
    groups = np.zeros(len(documents), np.int64)
    found, similarity = scan_in_blocks(store.load, groups, np.ones(len(groups), np.int64), NEAR, block, pinned)
    assert store.largest <= 2 * block
    sketches, pins = store.load(np.arange(len(documents))), int(pinned.sum())
    keys = band_keys(sketches.signatures, 4, 1)
    expected, value = (
        leader_scan(keys, *sketches, NEAR.threshold, n_leaders=pins) if pins else (-1 - groups, groups + 1.0)
    )
    rest = np.flatnonzero(expected < 0)
    alone = Store([store.documents[i] for i in rest.tolist()]).load(np.arange(len(rest)))
    leader, among = leader_scan(band_keys(alone.signatures, 4, 1), *alone, NEAR.threshold)
    expected[rest], value[rest] = rest[leader], among
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(similarity, value)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 12))
def test_blocks_tile_the_documents(sizes: list[int], limit: int) -> None:
    blocks = list(cut_blocks(np.array(sizes, np.int64), limit))
    assert np.concatenate([np.zeros(0, int), *blocks]).tolist() == list(range(len(sizes)))
    assert all(len(block) == 1 or sum(sizes[i] for i in block) <= limit for block in blocks)


def test_given_leaders_alone_lead() -> None:
    alike = ((1,) * 8, frozenset(range(8)))
    sketches = Store([alike, ((2,) * 8, frozenset({9})), alike, ((0,) * 8, frozenset({8})), alike]).load(np.arange(5))
    keys = band_keys(sketches.signatures, 4, 1)
    assert leader_scan(keys, *sketches, 0.5, n_leaders=2)[0].tolist() == [0, 1, 0, -1, 0]
    assert leader_scan(keys, *sketches, 0.5, n_leaders=3)[0].tolist() == [0, 1, 2, -1, 0]
