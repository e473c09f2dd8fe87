"""The leader scan against a scan over Python sets, and its guarantees by looking at all pairs."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys
from pipelines.kernels.minhash import minhash_signatures, shingle_hashes

Documents = list[tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]]  # band keys, signature, shingles


def plain_jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / len(a | b) if a and b else 0.0


def match(documents: Documents, i: int, j: int, threshold: float, slack: float) -> bool:
    (keys, signature, shingles), (other_keys, other_signature, other_shingles) = documents[i], documents[j]
    equal = sum(x == y for x, y in zip(signature, other_signature, strict=True))
    return (
        bool(set(keys) & set(other_keys))
        and equal / len(signature) >= threshold - slack
        and plain_jaccard(shingles, other_shingles) >= threshold
    )


def plain_scan(documents: Documents, threshold: float, slack: float) -> tuple[list[int], list[float]]:
    leader = [-1] * len(documents)
    similarity = [1.0] * len(documents)
    for i in range(len(documents)):
        if leader[i] == -1:
            leader[i] = i
            for j in range(i + 1, len(documents)):
                if leader[j] == -1 and match(documents, i, j, threshold, slack):
                    leader[j] = i
                    similarity[j] = plain_jaccard(documents[i][2], documents[j][2])
    return leader, similarity


def arrays(documents: Documents) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    keys = np.array([d[0] for d in documents], np.uint64).reshape(len(documents), -1)
    signatures = np.array([d[1] for d in documents], np.uint32).reshape(len(documents), -1)
    shingles = np.array([h for d in documents for h in sorted(d[2])], np.uint64)
    return keys, signatures, shingles, np.cumsum([0, *(len(d[2]) for d in documents)], dtype=np.int64)


def check_guarantees(documents: Documents, leader: np.ndarray, threshold: float, slack: float) -> None:
    for i, of_i in enumerate(leader.tolist()):
        if of_i != i:
            assert of_i < i
            assert leader[of_i] == of_i
            assert plain_jaccard(documents[i][2], documents[of_i][2]) >= threshold
    kept = np.flatnonzero(leader == np.arange(len(leader))).tolist()
    assert not any(match(documents, i, j, threshold, slack) for i, j in itertools.combinations(kept, 2))


# few possible values everywhere, so that keys, signatures and sets collide often and independently
DOCUMENT = st.tuples(
    st.tuples(st.integers(0, 3), st.integers(4, 7)),
    st.tuples(*[st.integers(0, 1)] * 4),
    st.frozensets(st.sampled_from([0, 1, 2, 3, 4, 5, 2**63, 2**64 - 1]), max_size=8),
)


@settings(deadline=None, max_examples=300)
@given(
    documents=st.lists(DOCUMENT, min_size=1, max_size=14),
    threshold=st.sampled_from([0.25, 0.5, 2 / 3, 0.8, 1.0]),
    slack=st.sampled_from([0.0, 0.15, 1.0]),
    max_documents=st.sampled_from([1, 2, None]),
)
def test_equals_a_scan_over_python_sets(
    documents: Documents, threshold: float, slack: float, max_documents: int | None
) -> None:
    leader, similarity = leader_scan(*arrays(documents), threshold, slack, max_documents=max_documents)
    expected_leader, expected_similarity = plain_scan(documents, threshold, slack)
    assert leader.tolist() == expected_leader
    assert similarity.tolist() == expected_similarity
    check_guarantees(documents, leader, threshold, slack)


def scan_in_blocks(documents: Documents, threshold: float, block: int, piece: int) -> list[int]:
    """Scan as the docstring of `leader_scan` says for more documents than fit into memory."""

    def scan(numbers: list[int]) -> list[int]:
        return [numbers[i] for i in leader_scan(*arrays([documents[i] for i in numbers]), threshold)[0]]

    leader: dict[int, int] = {}
    undecided = list(range(len(documents)))
    while undecided:
        first, rest = undecided[:block], undecided[block:]
        leader |= dict(zip(first, scan(first), strict=True))
        kept = [i for i in first if leader[i] == i]
        undecided = []
        for start in range(0, len(rest), piece):
            numbers = kept + rest[start : start + piece]
            for i, of_i in zip(numbers, scan(numbers), strict=True):
                if i not in leader and of_i in kept:
                    leader[i] = of_i
                elif i not in leader:
                    undecided.append(i)
    return [leader[i] for i in range(len(documents))]


@settings(deadline=None)
@given(documents=st.lists(DOCUMENT, min_size=1, max_size=20), block=st.integers(1, 6), piece=st.integers(1, 6))
def test_blocks_give_the_leaders_of_one_scan(documents: Documents, block: int, piece: int) -> None:
    whole = leader_scan(*arrays(documents), 0.5)[0].tolist()
    assert scan_in_blocks(documents, 0.5, block, piece) == whole


def made_documents(families: int, members: int, seed: int) -> list[str]:
    """Texts in families that differ in 0 to 12 % of their words, in random order."""
    generator = random.Random(seed)
    texts = []
    for _ in range(families):
        words = [f"w{generator.randrange(5000)}" for _ in range(generator.randint(60, 200))]
        for _ in range(members):
            rate = generator.choice([0, 0.005, 0.01, 0.03, 0.12])
            texts.append(" ".join(f"v{generator.random()}" if generator.random() < rate else w for w in words))
    generator.shuffle(texts)
    return texts


def test_real_signatures_and_order_alone_decides() -> None:
    texts = made_documents(40, 8, seed=2)

    def scan(chosen: list[str]) -> tuple[np.ndarray, np.ndarray, Documents]:
        column = pa.array(chosen)
        signatures = minhash_signatures(column).signatures
        sets = shingle_hashes(column)
        keys = band_keys(signatures, 14, 8)
        leader, similarity = leader_scan(keys, signatures, sets.hashes, sets.offsets, 0.8)
        bounds = itertools.pairwise(sets.offsets)
        shingles = [frozenset(sets.hashes[a:b].tolist()) for a, b in bounds]
        return leader, similarity, list(zip(keys.tolist(), signatures.tolist(), shingles, strict=True))

    leader, similarity, documents = scan(texts)
    expected_leader, expected_similarity = plain_scan(documents, 0.8, 0.15)
    assert leader.tolist() == expected_leader
    assert similarity.tolist() == expected_similarity
    check_guarantees(documents, leader, 0.8, 0.15)
    assert 60 < (leader != np.arange(len(texts))).sum() < 270

    # interleaved with unrelated documents, in the same order among themselves: the same leaders
    unrelated = made_documents(40, 2, seed=99)
    generator = random.Random(5)
    total = len(texts) + len(unrelated)
    is_ours = np.isin(np.arange(total), generator.sample(range(total), len(texts)))
    places = np.flatnonzero(is_ours)
    ours, others = iter(texts), iter(unrelated)
    mixed = [next(ours) if ours_here else next(others) for ours_here in is_ours]
    mixed_leader, mixed_similarity, _ = scan(mixed)
    np.testing.assert_array_equal(mixed_leader[places], places[leader])
    np.testing.assert_array_equal(mixed_similarity[places], similarity)


def test_a_chain_keeps_what_is_unlike_the_kept() -> None:
    # 0 ~ 1 ~ 2 but not 0 ~ 2: one per component would lose 2, "resembles anything earlier" too
    sets = [frozenset(range(100)), frozenset(range(8, 108)), frozenset(range(16, 116))]
    documents: Documents = [((1,), (7,), s) for s in sets]
    leader, similarity = leader_scan(*arrays(documents), 0.8)
    assert leader.tolist() == [0, 0, 2]
    assert similarity.tolist() == [1.0, 92 / 108, 1.0]


def test_each_condition_is_needed() -> None:
    shingles = frozenset(range(50))

    def leaders(*documents: tuple) -> list[int]:
        return leader_scan(*arrays(list(documents)), 0.8)[0].tolist()

    whole = ((1, 2), (5, 5, 5, 5), shingles)
    assert leaders(whole, whole) == [0, 0]
    assert leaders(whole, ((3, 4), (5, 5, 5, 5), shingles)) == [0, 1]
    assert leaders(whole, ((3, 2), (5, 5, 5, 6), shingles)) == [0, 0]
    assert leaders(whole, ((1, 2), (5, 5, 6, 6), shingles)) == [0, 1]
    assert leaders(whole, ((1, 2), (5, 5, 5, 5), frozenset(range(20, 70)))) == [0, 1]
    empty = ((1, 2), (5, 5, 5, 5), frozenset())
    assert leaders(empty, empty, whole) == [0, 1, 2]


def test_no_documents_and_wrong_arguments() -> None:
    nothing = arrays([((1,), (1,), frozenset({1}))])
    keys, signatures, shingles, offsets = nothing
    leader, similarity = leader_scan(keys[:0], signatures[:0], shingles[:0], offsets[:1], 0.8)
    assert leader.shape == similarity.shape == (0,)
    with pytest.raises(ValueError, match="got threshold=0"):
        leader_scan(*nothing, 0.0)
    with pytest.raises(ValueError, match="arrays differ in length"):
        leader_scan(keys, signatures, shingles, offsets[:1], 0.8)
