"""Connected components against a brute-force search, in one process and in rounds of stars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ops.stars import label_components, large_star, small_star
from pipelines.stages.payloads import node_partition

EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)
Pairs = list[tuple[int, int]]


def brute_force(edges: Pairs) -> dict[int, int]:
    label = {node: node for edge in edges for node in edge}
    for _ in label:
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    return label


def ends(edges: Pairs) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(edges, np.uint64).reshape(-1, 2)
    return pairs.min(axis=1), pairs.max(axis=1)


@settings(deadline=None)
@given(EDGES)
def test_labels_are_the_least_node_of_each_component(edges: Pairs) -> None:
    nodes, labels = label_components(*ends(edges))
    assert dict(zip(nodes.tolist(), labels.tolist(), strict=True)) == brute_force(edges)


def in_rounds(edges: Pairs, partitions: int) -> tuple[dict[int, int], int]:
    """Take large-star and small-star in turn over partitions of the nodes, until nothing but stars is left."""
    less, greater = ends([edge for edge in edges if edge[0] != edge[1]])
    for number in range(200):
        both = number % 2 == 0
        nodes = np.concatenate([greater, less]) if both else greater
        others = np.concatenate([less, greater]) if both else less
        found: list[tuple] = []
        for partition in range(partitions):
            mine = node_partition(nodes, partitions) == partition
            star = large_star if both else small_star
            found.append(star(nodes[mine], others[mine]))
        greater, less = (np.concatenate([piece[i] for piece in found]) for i in range(2))
        if both and sum(piece[2] for piece in found) == 0:
            labels = dict(zip(greater.tolist(), less.tolist(), strict=True))
            return labels | {node: node for node in set(labels.values())}, number + 1
    raise AssertionError("no end")


@settings(deadline=None, max_examples=200)
@given(EDGES, st.integers(1, 4))
def test_rounds_find_the_same_labels(edges: Pairs, partitions: int) -> None:
    edges = [edge for edge in edges if edge[0] != edge[1]]
    assert in_rounds(edges, partitions)[0] == brute_force(edges)


def path(nodes: np.ndarray) -> Pairs:
    return list(zip(nodes[:-1].tolist(), nodes[1:].tolist(), strict=True))


GENERATOR = np.random.default_rng(4)
GRAPHS = {
    "a path in order": path(np.arange(1000)),
    "a shuffled path": path(GENERATOR.permutation(1000)),
    "a path from both ends": path(np.array([x for i in range(500) for x in (i, 999 - i)])),
    "a star around its greatest node": [(i, 1000) for i in range(1000)],
    "stars of stars": [(i, i // 10) for i in range(1, 1000)],
    "a ring": [*path(np.arange(500)), (499, 0)],
    "a complete graph": [(i, j) for i in range(40) for j in range(i)],
    "random edges": GENERATOR.integers(0, 800, (600, 2)).tolist(),
    "no edges": [],
}


@pytest.mark.parametrize("name", GRAPHS)
def test_rounds_end_soon(name: str) -> None:
    edges = [(a, b) for a, b in GRAPHS[name] if a != b]
    labels, rounds = in_rounds(edges, 4)
    nodes, expected = label_components(*ends(edges))
    assert labels == dict(zip(nodes.tolist(), expected.tolist(), strict=True))
    assert rounds <= 2 * 10 + 1  # log2 of 1,000 nodes, twice over
