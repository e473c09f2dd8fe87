"""Every guarantee about duplicates is checked: claims that break one are found."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.contracts import ids
from pipelines.contracts.dedup import Dedup, Near
from pipelines.contracts.errors import VerifyError
from pipelines.contracts.recipe import Recipe, Source
from pipelines.kernels.jaccard import jaccard
from pipelines.kernels.minhash import MinHashParams, minhash_signatures, shingle_hashes
from pipelines.stages.verify_duplicates import check_duplicates, claim_schema

NEAR = Near(threshold=0.6, ngram=2)
RECIPE = Recipe(name="t", sources=(Source(name="a", path=("x",), format="text"),), dedup=Dedup(near=NEAR))
LONG = "one two three four five six seven eight nine ten eleven twelve"
NEARLY = LONG.replace("twelve", "thirteen")


def claims(*rows: dict) -> pa.Table:
    """Claims about documents named by their number; a leader is one, too."""
    texts = [row["text"] for row in rows]
    column = pa.array(texts, pa.string())
    params = MinHashParams(num_perm=NEAR.num_perm, ngram=NEAR.ngram)
    sketch, sets = minhash_signatures(column, params), shingle_hashes(column, params)
    shingles = [sets.hashes[a:b] for a, b in zip(sets.offsets, sets.offsets[1:], strict=False)]
    made = []
    for i, row in enumerate(rows):
        leader = row.get("leader")
        alike = 1.0 if leader is not None and texts[i] == texts[leader] else jaccard(shingles[i], shingles[leader or 0])
        made.append(
            {
                "component": "c",
                "earlier": row.get("earlier", False),
                "doc_id": str(i),
                "leader": None if leader is None else str(leader),
                "kind": row.get("kind"),
                "kept": row.get("kept", leader is None),
                "similarity": row.get("similarity", None if leader is None else alike),
                "content_hash": ids.content_hash(texts[i]),
                "url_hash": row.get("url") and 16 * row["url"].encode(),
                "instant": row.get("instant", 0),
                "n_words": int(sketch.n_words[i]),
                "signature": sketch.signatures[i],
                "shingles": shingles[i],
            }
        )
    return pa.Table.from_pylist(made, claim_schema(NEAR.num_perm))


SOUND = [
    {"text": LONG, "url": "u", "instant": 2},
    {"text": NEARLY, "leader": 0, "kind": "near"},
    {"text": LONG, "leader": 0, "kind": "exact"},
    {"text": "an older text of the same page", "leader": 0, "kind": "url", "url": "u", "instant": 1},
    {"text": NEARLY, "kept": False},
]


def test_sound_claims_pass() -> None:
    assert check_duplicates(claims(*SOUND), RECIPE) == 3
    assert check_duplicates(claims(), RECIPE) == 0


EARLIER = [
    {"text": LONG, "url": "u", "instant": 1, "earlier": True},
    {"text": NEARLY, "url": "u", "earlier": True},  # alike and of one address, but in builds that knew not each other
    {"text": LONG, "leader": 0, "kind": "exact"},
    {"text": "a newer text of the same page", "leader": 0, "kind": "url", "url": "u", "instant": 9},
]


def test_sound_claims_against_earlier_builds_pass() -> None:
    assert check_duplicates(claims(*EARLIER), RECIPE) == 2


@pytest.mark.parametrize(
    ("row", "change", "expected"),
    [
        (2, {"leader": None, "kind": None, "similarity": None}, "another kept document are alike"),
        (3, {"leader": None, "kind": None, "similarity": None}, "two versions of its address"),
        (3, {"leader": 1}, "no newer version"),
        (0, {"kept": False}, "its leader is not kept"),
    ],
)
def test_broken_guarantees_against_earlier_builds_are_found(row: int, change: dict, expected: str) -> None:
    broken = [{**claim, **change} if i == row else claim for i, claim in enumerate(EARLIER)]
    with pytest.raises(VerifyError, match=expected):
        check_duplicates(claims(*broken), RECIPE)


@pytest.mark.parametrize(
    ("row", "change", "expected"),
    [
        (0, {"kept": False}, "its leader is not kept"),
        (1, {"similarity": 0.99}, "similarity with its leader"),
        (1, {"text": "quite another text with no words in common"}, "similarity with its leader"),
        (2, {"kind": "near"}, "similarity with its leader"),
        (3, {"instant": 3}, "no newer version"),
        (3, {"url": "v"}, "no newer version"),
        (3, {"leader": None, "kind": None}, "two versions of its address"),
        (4, {"kept": True}, "another kept document are alike"),
    ],
)
def test_broken_guarantees_are_found(row: int, change: dict, expected: str) -> None:
    broken = [{**claim, **change} if i == row else claim for i, claim in enumerate(SOUND)]
    with pytest.raises(VerifyError, match=expected):
        check_duplicates(claims(*broken), RECIPE)
