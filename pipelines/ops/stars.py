"""Connected components: in one process, and as rounds of large-star and small-star over pieces of the edges.

Large-star links every neighbour of a node that is greater than it to the least of its neighbours (itself
included); small-star does so with the node and the neighbours that are not greater. Both leave the components as they are; taken in turn they end
in stars around the least node of each component (Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii 2014,
"Connected components in MapReduce and beyond", doi:10.1145/2670979.2670997).
"""

from __future__ import annotations

import numpy as np


def label_components(least: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find connected components.

    Args:
        least: [edges] uint64 nodes.
        other: [edges] uint64 nodes.

    Returns:
        (nodes, labels): [nodes] sorted uint64 nodes, and the least node of the component of each.
    """
    from scipy.sparse import coo_matrix  # .4 s to import, in every process that imports the stages
    from scipy.sparse.csgraph import connected_components

    nodes, index = np.unique(np.concatenate([least, other]), return_inverse=True)
    if len(nodes) == 0:
        return nodes, nodes
    count = len(least)
    graph = coo_matrix((np.ones(count, np.int8), (index[:count], index[count:])), shape=(len(nodes), len(nodes)))
    _, component = connected_components(graph, directed=False)
    first = np.unique(component, return_index=True)[1]  # nodes are sorted: the first one is the least
    return nodes, nodes[first[component]]


def large_star(node: np.ndarray, neighbour: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Do the large-star step for some nodes.

    Args:
        node: uint64 [entries]; every edge of these nodes is there, under each of its ends.
        neighbour: uint64 [entries].

    Returns:
        Edges (greater, less), both uint64 [edges], and how far they are from stars: the edges that moved and
        the surplus smaller neighbours. If that is 0 for all nodes, all components are stars.
    """
    node, neighbour, starts = _by_node(node, neighbour)
    least = np.repeat(np.minimum(neighbour[starts], node[starts]), np.diff(np.append(starts, len(node))))
    is_greater = neighbour > node
    moved = int((is_greater & (least != node)).sum())
    smaller = np.add.reduceat(~is_greater, starts) if len(starts) else np.zeros(0, np.int64)
    return neighbour[is_greater], least[is_greater], moved + int(np.maximum(smaller - 1, 0).sum())


def small_star(node: np.ndarray, neighbour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Do the small-star step for some nodes.

    Args:
        node: uint64 [entries]; every edge of these nodes to a smaller one is there.
        neighbour: uint64 [entries], less than `node`.

    Returns:
        Edges (greater, less), both uint64 [edges].
    """
    node, neighbour, starts = _by_node(node, neighbour)
    least = np.repeat(neighbour[starts], np.diff(np.append(starts, len(node))))
    is_other = neighbour != least
    greater = np.concatenate([neighbour[is_other], node[starts]])
    return greater, np.concatenate([least[is_other], neighbour[starts]])


def _by_node(node: np.ndarray, neighbour: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort entries by node and neighbour, each once; return also where each node starts."""
    order = np.lexsort((neighbour, node))
    node, neighbour = node[order], neighbour[order]
    new = np.ones(len(node), bool)
    new[1:] = (node[1:] != node[:-1]) | (neighbour[1:] != neighbour[:-1])
    node, neighbour = node[new], neighbour[new]
    first = np.ones(len(node), bool)
    first[1:] = node[1:] != node[:-1]
    return node, neighbour, np.flatnonzero(first)
