"""From the vector of a text to its label: hierarchical softmax, softmax, and one against all, as fastText predicts.

exp and log are written out in plain IEEE arithmetic: the C library picks its own by processor, and a score that
decides must not depend on that. Probabilities are fastText's, which adds 1e-5 to each (for hs, at each node of the
tree), so that they may exceed 1 a little.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.language_model import FastTextModel

_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_POWERS: Final = 2.0 ** np.arange(-1022, 1024)
_TREE, _SOFTMAX, _SIGMOID = 0, 1, 2
_KINDS: Final = {"hs": _TREE, "softmax": _SOFTMAX, "ova": _SIGMOID, "ns": _SIGMOID}
_FLOOR: Final = 1e-5
_SIGMOID_STEPS, _SIGMOID_MAX = 512, 8


def output_arrays(model: FastTextModel) -> tuple:
    """Return what `best_label` reads of a model."""
    return _KINDS[model.loss], model.output, model.output_norms, model.left, model.right


def make_scratch(model: FastTextModel) -> tuple[np.ndarray, ...]:
    """Make the arrays that `best_label` writes to."""
    nodes = len(model.left) + 2
    return np.empty(len(model.labels), np.float32), np.empty(nodes, np.int32), np.empty(nodes, np.float64)


@njit(**INLINE)
def exp_ieee(x: float) -> float:
    """Compute e^x for |x| < 700 by range reduction and a Taylor polynomial (error below 1e-15 relative)."""
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = 1.0
    for n in range(14, 0, -1):
        total = 1.0 + total * r / n
    return total * _POWERS[int(k) + 1022]


@njit(**INLINE)
def log_ieee(x: float) -> float:
    """Compute ln x for positive normal x by the series of 2 atanh((m - 1) / (m + 1))."""
    m, e = math.frexp(x)
    if m < 0.7071067811865476:
        m *= 2.0
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    total = 0.0
    for n in range(23, 0, -2):
        total = total * square + 1.0 / n
    return 2.0 * s * total + e * (_LN2_HIGH + _LN2_LOW)


@njit(**INLINE)
def _limited(x: float) -> float:
    """Keep the argument of exp where it is defined; e^-600 and e^600 are as good as 0 and infinity."""
    return min(max(x, -600.0), 600.0)


@njit(**KERNEL)
def _best_leaf(hidden: np.ndarray, output: tuple, scratch: tuple) -> tuple[int, float]:
    """Search the tree for the likeliest leaf; return (leaf, probability)."""
    _, nodes, norms, left, right = output
    _, stack, scores = scratch
    leaves = (left.shape[0] + 1) // 2
    best, found = -1e30, -1
    stack[0] = left.shape[0] - 1
    scores[0] = 0.0
    top = 1
    while top:
        top -= 1
        node, score = stack[top], scores[top]
        if score < best:
            continue
        if left[node] < 0:
            if score > best:
                best, found = score, node
            continue
        dot = np.float32(0)
        for k in range(hidden.shape[0]):
            dot += nodes[node - leaves, k] * hidden[k]
        share = 1.0 / (1.0 + exp_ieee(_limited(-float(dot * norms[node - leaves]))))
        to_left = score + log_ieee(1.0 - share + _FLOOR)
        to_right = score + log_ieee(share + _FLOOR)
        first, second = (right[node], left[node]) if to_left > to_right else (left[node], right[node])
        stack[top], scores[top] = first, min(to_left, to_right)
        stack[top + 1], scores[top + 1] = second, max(to_left, to_right)
        top += 2
    return found, exp_ieee(best)


@njit(**KERNEL)
def _fill_scores(hidden: np.ndarray, output: np.ndarray, norms: np.ndarray, scores: np.ndarray) -> None:
    """Fill the dot product of every label; each is summed in the order of the dimensions."""
    scores[:] = 0
    for k in range(hidden.shape[0]):
        weight = hidden[k]
        for label in range(scores.shape[0]):
            scores[label] += output[k, label] * weight
    for label in range(scores.shape[0]):
        scores[label] *= norms[label]


@njit(**INLINE)
def _table_sigmoid(x: float) -> float:
    """Return fastText's sigmoid: the value at the start of one of 512 steps between -8 and 8, 0 and 1 outside."""
    if x < -_SIGMOID_MAX:
        return 0.0
    if x > _SIGMOID_MAX:
        return 1.0
    step = int(np.float32(np.float32(x + np.float32(_SIGMOID_MAX)) * np.float32(_SIGMOID_STEPS)) / _SIGMOID_MAX / 2)
    return 1.0 / (1.0 + exp_ieee(-(step * 2.0 * _SIGMOID_MAX / _SIGMOID_STEPS - _SIGMOID_MAX)))


@njit(**KERNEL)
def best_label(hidden: np.ndarray, output: tuple, scratch: tuple) -> tuple[int, float]:
    """Return the likeliest label and its probability; of equal ones the last, as fastText.

    Args:
        hidden: [dim] float32, the vector of the text.
        output: `output_arrays`.
        scratch: `make_scratch`.
    """
    kind, weights, norms = output[0], output[1], output[2]
    if kind == _TREE:
        return _best_leaf(hidden, output, scratch)
    scores = scratch[0]
    _fill_scores(hidden, weights, norms, scores)
    best, found = -1e30, -1
    for label in range(scores.shape[0]):
        score = float(scores[label])
        if kind == _SIGMOID:
            score = _table_sigmoid(scores[label])
        if score >= best:
            best, found = score, label
    if kind == _SIGMOID:
        return found, best + _FLOOR
    total = 0.0
    for label in range(scores.shape[0]):
        total += exp_ieee(_limited(float(scores[label]) - best))
    return found, 1.0 / total + _FLOOR


def path_to_label(model: FastTextModel, label: int) -> np.ndarray:
    """Return the way from the root of the tree to a leaf; empty without a tree.

    Returns:
        [steps, 2] int64: row of the inner node in the output, and 1 if the way goes right.
    """
    steps: list[tuple[int, int]] = []
    node = label
    while _KINDS[model.loss] == _TREE and node != len(model.left) - 1:
        is_child = (model.left == node) | (model.right == node)
        parent = int(np.flatnonzero(is_child)[0])
        steps.append((parent - len(model.labels), int(model.right[parent] == node)))
        node = parent
    return np.array(steps[::-1], np.int64).reshape(-1, 2)


@njit(**KERNEL)
def label_probability(hidden: np.ndarray, output: tuple, scratch: tuple, label: int, path: np.ndarray) -> float:
    """Return the probability of one label.

    Args:
        hidden: [dim] float32, the vector of the text.
        output: `output_arrays`.
        scratch: `make_scratch`.
        label: its number.
        path: `path_to_label`.
    """
    kind, weights, norms = output[0], output[1], output[2]
    if kind == _TREE:
        score = 0.0
        for step in range(path.shape[0]):
            node = path[step, 0]
            dot = np.float32(0)
            for k in range(hidden.shape[0]):
                dot += weights[node, k] * hidden[k]
            share = 1.0 / (1.0 + exp_ieee(_limited(-float(dot * norms[node]))))
            score += log_ieee((share if path[step, 1] else 1.0 - share) + _FLOOR)
        return exp_ieee(score)
    scores = scratch[0]
    _fill_scores(hidden, weights, norms, scores)
    if kind == _SIGMOID:
        return _table_sigmoid(scores[label]) + _FLOOR
    best = float(scores[label])
    for other in range(scores.shape[0]):
        best = max(best, float(scores[other]))
    total = 0.0
    for other in range(scores.shape[0]):
        total += exp_ieee(_limited(float(scores[other]) - best))
    return exp_ieee(_limited(float(scores[label]) - best)) / total + _FLOOR
