"""Components against a brute-force search."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.components import label_components
from pipelines.stages.payloads import node_of, part_and_row

EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)


def brute_force(edges: list[tuple[int, int]]) -> dict[int, int]:
    label = {node: node for edge in edges for node in edge}
    for _ in label:
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    return label


@given(EDGES)
def test_labels_are_the_least_node_of_each_component(edges: list[tuple[int, int]]) -> None:
    a = np.array([edge[0] for edge in edges], np.uint64)
    b = np.array([edge[1] for edge in edges], np.uint64)
    nodes, labels = label_components(a, b)
    assert dict(zip(nodes.tolist(), labels.tolist(), strict=True)) == brute_force(edges)


def test_nodes_pack_part_and_row() -> None:
    node = node_of(np.array([0, 7, 2**31 - 1]), np.array([5, 0, 2**31 - 1]))
    part, row = part_and_row(node)
    assert part.tolist() == [0, 7, 2**31 - 1]
    assert row.tolist() == [5, 0, 2**31 - 1]
    assert node[1] == 7 << 32
