"""resolve: survivors, leaders and splits, against a plain walk over all pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.contracts.dedup import Dedup, Near
from pipelines.contracts.recipe import Recipe, Source, Split
from pipelines.kernels.lsh import band_keys
from pipelines.kernels.minhash import MinHashParams, minhash_signatures, shingle_hashes
from pipelines.stages.members import MemberStore, member_schema
from pipelines.stages.payloads import split_by_partition
from pipelines.stages.resolve import resolve_members

NEAR = Near(threshold=0.6, ngram=2)
PARAMS = MinHashParams(num_perm=NEAR.num_perm, ngram=NEAR.ngram, seed=NEAR.seed)


def recipe(dedup: Dedup | None = None, **changes: object) -> Recipe:
    sources = (Source(name="a", path=("x",), format="text"),)
    return Recipe(name="t", sources=sources, dedup=dedup or Dedup(near=NEAR), **changes)


def payloads(
    texts: list[str],
    eligible: Sequence[bool],
    component: Sequence[int],
    urls: Sequence[str | None],
    dates: Sequence[int],
    rank: Sequence[int],
    batches: int = 1,
    builds: Sequence[int] | None = None,
    splits: Sequence[str | None] | None = None,
) -> list[bytes]:
    """Pack members of components as the map does, in several batches."""
    text = pa.array(texts, pa.large_string())
    sketch, shingles = minhash_signatures(text, PARAMS), shingle_hashes(text, PARAMS)
    count = len(texts)
    columns = [
        pa.array(component, pa.uint64()),
        pa.array(builds or [0] * count, pa.int32()),
        pa.array(splits or [None] * count, pa.string()),
        pa.array([0] * count, pa.int32()),
        pa.array(range(count), pa.int32()),
        pa.array([f"{i:032x}" for i in range(count)]),
        pa.array([ids.content_hash(t) for t in texts]),
        pa.array([url and bytes.fromhex(ids.content_hash(url)) for url in urls], ids.HASH),
        pa.array(dates, pa.int64()),
        pa.array(eligible),
        pa.array(rank, pa.int64()),
        pa.array([0.5] * count),
        pa.array(sketch.n_words),
        pa.FixedSizeListArray.from_arrays(pa.array(sketch.signatures.reshape(-1)), NEAR.num_perm),
        pa.LargeListArray.from_arrays(pa.array(shingles.offsets), pa.array(shingles.hashes)),
    ]
    batch = pa.record_batch(columns, schema=member_schema(NEAR.num_perm))
    return [b"", *(packed for _, packed in split_by_partition(batch, np.arange(count) * 7 % batches))]


def verdicts(
    texts: list[str],
    eligible: Sequence[bool] | None = None,
    component: Sequence[int] | None = None,
    urls: Sequence[str | None] | None = None,
    dates: Sequence[int] | None = None,
    dedup: Dedup | None = None,
    memory_bytes: int = 1 << 30,
    batches: int = 1,
    builds: Sequence[int] | None = None,
    splits: Sequence[str | None] | None = None,
    labels: Sequence[str] = (),
    **changes: object,
) -> dict[int, dict]:
    """Resolve documents, the longest first."""
    none = [None] * len(texts)
    lengths = [-len(t.encode()) for t in texts]
    packed = payloads(
        texts, eligible or [True] * len(texts), component or [7] * len(texts), urls or none, dates or [0] * len(texts), lengths, batches,
        builds, splits,
    )  # fmt: skip
    with MemberStore(packed, NEAR.num_perm, memory_bytes) as members:
        rows = resolve_members(members, recipe(dedup, **changes), labels).to_pylist()
    return {row["row"]: row for row in rows}


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
    texts = [f"{LONG} {i}" for i in range(12)]
    drawn = [verdicts(texts, split=Split(max_component=5, seed=s)).values() for s in range(6)]
    assert not any(row["heldout"] for rows in drawn for row in rows)


AGAINST = Dedup(near=NEAR, against=("/one", "/two"))
LABELS = ("one@1", "two@2")


def test_documents_of_earlier_builds_win_and_lead_whatever_the_policy() -> None:
    longer = LONG + " thirteen"
    found = verdicts([longer, LONG, LONG], builds=[2, 2, 0], dedup=AGAINST, labels=LABELS)
    assert [found[i]["kind"] for i in range(3)] == ["near", "exact", None]
    assert {(found[i]["leader"], found[i]["leader_build"]) for i in (0, 1)} == {(f"{2:032x}", "one@1")}


def test_documents_of_earlier_builds_are_never_removed_and_all_of_them_lead() -> None:
    words = [f"w{i}" for i in range(40)]
    ends = [*words[:34], *(f"x{i}" for i in range(6))]
    first, second = " ".join(words), " ".join(ends)
    new = " ".join([*(f"z{i}" for i in range(4)), *ends[4:]])  # like the second, but unlike the first
    assert jaccard(first, second) >= NEAR.threshold > jaccard(first, new)
    assert jaccard(second, new) >= NEAR.threshold
    for exact, url in ((False, False), (True, True)):
        dedup = AGAINST.model_copy(update={"exact": exact, "url": url})
        urls, dates = ["u", "u", "w"], [1, 2, 3]
        found = verdicts([first, second, new], builds=[0, 1, 2], dedup=dedup, labels=LABELS, urls=urls, dates=dates)
        assert [found[i]["kind"] for i in range(3)] == [None, None, "near"]
        assert (found[2]["leader"], found[2]["leader_build"]) == (f"{1:032x}", "two@2")


def test_an_address_of_an_earlier_build_is_taken_however_old() -> None:
    found = verdicts([OLD, NEW], builds=[1, 2], dedup=AGAINST, labels=LABELS, urls=["u", "u"], dates=[1, 2])
    assert [found[i]["kind"] for i in range(2)] == [None, "url"]
    assert found[1]["leader_build"] == "two@2"


@pytest.mark.parametrize(
    ("splits", "expected"),
    [(["heldout", None], True), (["train", None], False), (["heldout", "train", None], True)],
)
def test_a_component_follows_the_split_of_earlier_builds(splits: list, expected: bool) -> None:
    texts = [f"{LONG} {i}" for i in range(len(splits))]
    builds = [2 if split is None else 0 for split in splits]
    for seed in range(5):
        split = Split(seed=seed, max_component=1)
        found = verdicts(texts, builds=builds, splits=splits, dedup=AGAINST, labels=LABELS, split=split)
        assert {row["heldout"] for row in found.values()} == {expected}


OLD, NEW = "an old version of the page", "the page was written anew since then"


def test_of_one_address_the_newest_stays() -> None:
    found = verdicts([OLD, NEW, LONG], urls=["u", "u", "v"], dates=[1, 2, 0])
    assert [found[i]["kind"] for i in range(3)] == ["url", None, None]
    assert found[0]["leader"] == f"{1:032x}"
    assert found[0]["similarity"] is None
    assert [found[i]["cluster_size"] for i in range(3)] == [0, 2, 1]
    assert [found[i]["rehydration_weight"] for i in range(3)] == [0, 2, 1]


def test_versions_of_one_date_are_ordered_like_all_others() -> None:
    found = verdicts([OLD, NEW], urls=["u", "u"], dates=[5, 5])
    assert [found[i]["kind"] for i in range(2)] == ["url", None]  # the longer one stays


def test_a_newest_version_that_fails_a_rule_removes_nothing() -> None:
    found = verdicts([OLD, NEW], [True, False], urls=["u", "u"], dates=[1, 2])
    assert [found[i]["kind"] for i in range(2)] == [None, None]
    assert [found[i]["cluster_size"] for i in range(2)] == [1, 0]


def test_leaders_follow_when_the_newest_version_repeats_something_else() -> None:
    found = verdicts([OLD, LONG, LONG + " thirteen"], urls=["u", "u", "v"], dates=[1, 2, 0])
    assert [found[i]["kind"] for i in range(3)] == ["url", "near", None]
    assert found[0]["leader"] == found[1]["leader"] == f"{2:032x}"
    assert found[2]["cluster_size"] == found[2]["rehydration_weight"] == 3


def test_without_the_url_phase_addresses_do_not_matter() -> None:
    found = verdicts([OLD, NEW], urls=["u", "u"], dedup=Dedup(near=NEAR, url=False))
    assert [found[i]["kind"] for i in range(2)] == [None, None]


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), min_size=1, max_size=14).map(" ".join)
MEMBER = st.tuples(WORDS, st.booleans(), st.sampled_from([None, None, "u", "v"]), st.integers(0, 2))


def is_match(texts: list[str], i: int, j: int) -> bool:
    signatures = minhash_signatures(pa.array([texts[i], texts[j]]), PARAMS).signatures
    keys = band_keys(signatures, NEAR.bands, NEAR.rows)
    alike = jaccard(texts[i], texts[j]) if min(len(texts[i].split()), len(texts[j].split())) >= 2 else 0.0
    estimate = (signatures[0] == signatures[1]).mean()
    return bool((keys[0] == keys[1]).any()) and estimate >= NEAR.threshold - 0.15 and alike >= NEAR.threshold


def walk(members: list[tuple[str, bool, str | None, int]]) -> dict[int, tuple[str | None, int]]:
    """The definition, one document after the other: kind and leader of every row."""
    texts = [member[0] for member in members]
    order = sorted(range(len(members)), key=lambda i: (-len(texts[i]), ids.content_hash(texts[i]), i))
    found: dict[int, tuple[str | None, int]] = {i: (None, i) for i in order}
    alive = [i for i in order if members[i][1]]
    for phase in ("url", "exact", "near"):
        for at, i in enumerate(list(alive)):
            earlier = [j for j in alive[:at] if found[j][0] is None]
            if phase == "url" and members[i][2]:
                versions = [j for j in alive if members[j][2] == members[i][2]]
                best = max(versions, key=lambda j: (members[j][3], -order.index(j)))
            elif phase == "exact":
                best = next((j for j in earlier if texts[j] == texts[i]), i)
            elif phase == "near":
                best = next((j for j in earlier if is_match(texts, i, j)), i)
            else:
                best = i
            if best != i:
                found[i] = (phase, best)
        alive = [i for i in alive if found[i][0] is None]

    def kept(i: int) -> int:
        return i if found[i][0] is None else kept(found[i][1])

    return {i: (kind, kept(i)) for i, (kind, _) in found.items()}


@settings(max_examples=120, deadline=None)
@given(st.lists(MEMBER, min_size=1, max_size=12), st.integers(1, 4), st.sampled_from([0, 400, 1 << 30]))
def test_equals_the_definition(members: list, batches: int, memory_bytes: int) -> None:
    columns = [list(column) for column in zip(*members, strict=True)]
    found = verdicts(*columns[:2], urls=columns[2], dates=columns[3], memory_bytes=memory_bytes, batches=batches)
    expected = walk(members)
    texts = columns[0]
    for i, row in found.items():
        kind, leader = expected[i]
        if kind == "exact" and texts[leader] != texts[i]:
            kind = "near"  # a copy of a document that is removed as a near-duplicate
        assert (row["kind"], row["leader"]) == (kind, f"{leader:032x}" if kind else None)
        if kind in ("exact", "near"):
            assert row["similarity"] == (1.0 if kind == "exact" else jaccard(texts[i], texts[leader]))
        stands_for = sum(1 for _, other in expected.values() if other == i)
        assert row["cluster_size"] == (stands_for if kind is None and members[i][1] else 0)
    kept = [i for i, row in found.items() if row["kind"] is None and members[i][1]]
    assert not any(is_match(texts, i, j) for i, j in itertools.combinations(kept, 2))


def test_views_of_mapped_files_are_never_spilled() -> None:
    packed = payloads([LONG, NEARLY], [True] * 2, [7] * 2, [None] * 2, [0] * 2, [0] * 2)
    with MemberStore(packed, NEAR.num_perm, 0) as members:
        assert members.spilled
        expected = members.load(np.arange(2))
    with MemberStore(map(memoryview, packed), NEAR.num_perm, 0) as members:
        assert not members.spilled
        for found, column in zip(members.load(np.arange(2)), expected, strict=True):
            np.testing.assert_array_equal(found, column)


def test_positions_do_not_enter() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=rng.integers(3, 20))) for _ in range(40)]
    first = {texts[i]: row["kind"] for i, row in verdicts(texts).items() if row["kind"] is None}
    shuffled = [texts[i] for i in rng.permutation(40)]
    second = {shuffled[i]: row["kind"] for i, row in verdicts(shuffled).items() if row["kind"] is None}
    assert set(first) == set(second)
