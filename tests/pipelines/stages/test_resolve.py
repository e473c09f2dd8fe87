"""resolve: survivors, leaders and splits, against a plain walk over all pairs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.contracts.recipe import Dedup, Near, Recipe, Source, Split
from pipelines.kernels.minhash import MinHashParams, minhash_signatures, shingle_hashes
from pipelines.stages.resolve import _member_schema, resolve_members

NEAR = Near(threshold=0.6, ngram=2)


def recipe(**changes: object) -> Recipe:
    sources = (Source(name="a", path=("x",), format="text"),)
    return Recipe(name="t", sources=sources, dedup=Dedup(near=NEAR), **changes)


def members(texts: list[str], eligible: list[bool], component: list[int]) -> pa.Table:
    """Make members of components, sorted as the reduce sorts them (longest first)."""
    rows = sorted(
        zip(component, (-len(t.encode()) for t in texts), map(ids.content_hash, texts), range(len(texts)), strict=True)
    )
    order = [row[3] for row in rows]
    text = pa.array([texts[i] for i in order], pa.large_string())
    params = MinHashParams(num_perm=NEAR.num_perm, ngram=NEAR.ngram, seed=NEAR.seed)
    sketch, shingles = minhash_signatures(text, params), shingle_hashes(text, params)
    columns = [
        pa.array([component[i] for i in order], pa.uint64()),
        pa.array([0] * len(order), pa.int32()),
        pa.array(order, pa.int32()),
        pa.array([f"{i:032x}" for i in order]),
        pa.array([ids.content_hash(texts[i]) for i in order]),
        pa.array([eligible[i] for i in order]),
        pa.array([-len(texts[i].encode()) for i in order], pa.int64()),
        pa.array([0.5] * len(order)),
        pa.array(sketch.n_words),
        pa.FixedSizeListArray.from_arrays(pa.array(sketch.signatures.reshape(-1)), NEAR.num_perm),
        pa.LargeListArray.from_arrays(pa.array(shingles.offsets), pa.array(shingles.hashes)),
    ]
    return pa.table(columns, schema=_member_schema(NEAR.num_perm))


def verdicts(
    texts: list[str], eligible: list[bool] | None = None, component: list[int] | None = None
) -> dict[int, dict]:
    table = members(texts, eligible or [True] * len(texts), component or [7] * len(texts))
    return {row["row"]: row for row in resolve_members(table, recipe()).to_pylist()}


def jaccard(a: str, b: str) -> float:
    x, y = ({tuple(t.split()[i : i + 2]) for i in range(len(t.split()) - 1)} for t in (a, b))
    return len(x & y) / len(x | y)


LONG = "one two three four five six seven eight nine ten eleven twelve"
NEARLY = "one two three four five six seven eight nine ten eleven zwölf"


def test_the_longest_stays_and_leads_what_it_removes() -> None:
    found = verdicts([LONG, LONG + " thirteen", LONG])
    assert found[1]["kind"] is None
    assert {found[0]["kind"], found[2]["kind"]} == {"near"}
    assert found[0]["leader"] == f"{1:032x}"
    assert found[0]["similarity"] == pytest.approx(jaccard(LONG, LONG + " thirteen"))


def test_an_exact_copy_of_a_kept_document_is_exact() -> None:
    found = verdicts([LONG, LONG])
    assert sorted((row["kind"] or "") for row in found.values()) == ["", "exact"]
    assert {row["similarity"] for row in found.values()} == {None, 1.0}


def test_a_document_that_fails_a_rule_neither_leads_nor_is_removed() -> None:
    found = verdicts([LONG + " thirteen fourteen", LONG, NEARLY], [False, True, True])
    assert found[0]["kind"] is None
    assert sorted((found[i]["kind"] or "") for i in (1, 2)) == ["", "near"]
    leader = next(found[i]["leader"] for i in (1, 2) if found[i]["kind"])
    assert leader != f"{0:032x}"


def test_documents_shorter_than_the_shingle_take_part_by_hash_only() -> None:
    found = verdicts(["word", "word", "other"])
    assert [found[i]["kind"] for i in (0, 1, 2)].count("exact") == 1
    assert found[2]["kind"] is None


def test_components_do_not_see_each_other() -> None:
    found = verdicts([LONG, "quite another text of many words indeed", LONG], component=[1, 2, 1])
    assert [found[i]["component_size"] for i in range(3)] == [2, 1, 2]
    assert found[1]["component_id"] != found[0]["component_id"] == found[2]["component_id"]


def test_a_component_shares_id_size_and_split() -> None:
    found = verdicts([LONG, NEARLY, "quite another text of many words indeed"])
    assert len({(row["component_id"], row["component_size"], row["heldout"]) for row in found.values()}) == 1
    assert found[0]["component_id"] == min(
        map(ids.content_hash, [LONG, NEARLY, "quite another text of many words indeed"])
    )


def test_large_components_always_train() -> None:
    table = members([f"{LONG} {i}" for i in range(12)], [True] * 12, [1] * 12)
    drawn = [
        resolve_members(table, recipe(split=Split(max_component=5, seed=s))).column("heldout").to_pylist()
        for s in range(6)
    ]
    assert not any(map(any, drawn))


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), min_size=1, max_size=14).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=12))
def test_every_removed_document_has_a_kept_eligible_leader(rows: list[tuple[str, bool]]) -> None:
    texts, eligible = [row[0] for row in rows], [row[1] for row in rows]
    found = verdicts(texts, eligible)
    kept = {f"{i:032x}": i for i, row in found.items() if row["kind"] is None and eligible[i]}
    for i, row in found.items():
        if row["kind"] is None:
            continue
        assert eligible[i]
        leader = kept[row["leader"]]
        if row["kind"] == "exact":
            assert texts[leader] == texts[i]
        else:
            assert row["similarity"] >= NEAR.threshold
            assert row["similarity"] == pytest.approx(jaccard(texts[i], texts[leader]))
    alive = [texts[i] for i in range(len(texts)) if eligible[i] and found[i]["kind"] is None]
    assert len(alive) == len(set(alive))


def test_positions_do_not_enter() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=rng.integers(3, 20))) for _ in range(40)]
    first = {texts[i]: row["kind"] for i, row in verdicts(texts).items() if row["kind"] is None}
    shuffled = [texts[i] for i in rng.permutation(40)]
    second = {shuffled[i]: row["kind"] for i, row in verdicts(shuffled).items() if row["kind"] is None}
    assert set(first) == set(second)
