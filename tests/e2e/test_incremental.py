"""Builds against earlier builds: three in a chain, next to one build of everything."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.beam.curate import CurateOptions, run_curate
from pipelines.beam.driver import load_workspace
from pipelines.contracts import tables
from pipelines.contracts.errors import ConfigError, InputError, VerifyError
from pipelines.contracts.recipe import load_recipe
from pipelines.explain import document_life, find_document
from pipelines.kernels.lsh import band_keys
from pipelines.kernels.minhash import MinHashParams, minhash_signatures, shingle_hashes
from pipelines.stages import earlier
from tests.data.awkward import write_recipe
from tests.data.formats import json_line
from tests.data.sentences import Writer

THRESHOLD = 0.7
NEAR = {"threshold": THRESHOLD, "bands": 28, "rows": 4}
NAMES = ("one", "two", "three")


def texts() -> list[list[tuple[str, str]]]:
    """Make (address, text) of three crawls of 60: each repeats some of the earlier ones, nearly or at the same address."""
    writer = Writer(23)
    crawls: list[list[tuple[str, str]]] = []
    seen: list[tuple[str, str]] = []
    for crawl in NAMES:
        made = []
        for index in range(60):
            url, text = f"https://{crawl}.example/{index}", writer.document("en", 9)
            if seen and index % 3 == 0:
                old_url, old = seen[writer.below(len(seen))]
                kind = writer.below(4)
                text = (old, writer.near_copy(old), writer.near_copy(writer.near_copy(old)), text)[kind]
                url = old_url if kind == 3 else url
            made.append((url, text))
        crawls.append(made)
        seen += made
    return crawls


def write_corpus(folder: Path, crawls: list[str], against: list[Path], **recipe: object) -> Path:
    """Write a corpus of some crawls, a source each, and its recipe."""
    made = dict(zip(NAMES, texts(), strict=True))
    for name in crawls:
        (folder / name).mkdir(parents=True)
        rows = [json_line(text, url=url, id=f"{name}-{i}") for i, (url, text) in enumerate(made[name])]
        (folder / name / "a.jsonl").write_bytes(b"".join(rows))
    sources = [{"name": name, "path": f"{name}/*.jsonl", "format": "jsonl"} for name in crawls]
    settings = {
        "sources": sources,
        "profiles": [],
        "part_mb": 0.03,
        "dedup": {"near": NEAR, "against": [str(path) for path in against]},
        "split": {"heldout_fraction": 0.3, "min_heldout_bytes": 1, "max_heldout_fraction": 0.3},
    }
    return write_recipe(folder, **(settings | recipe))


def curate(folder: Path, name: str, crawls: list[str], against: list[Path], **recipe: object) -> Path:
    path = write_corpus(folder / f"corpus-{name}", crawls, against, **recipe)
    run_curate(CurateOptions(str(path), str(folder / name), workers=1))
    return folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three builds in a chain (`one`, `two`, `three`) and one of everything (`all`)."""
    folder = tmp_path_factory.mktemp("incremental")
    for number, name in enumerate(NAMES):
        curate(folder, name, [name], [folder / earlier for earlier in NAMES[:number]])
    curate(folder, "all", list(NAMES), [])
    return folder


def rows(workspace: Path) -> list[dict]:
    """Return all documents with their decisions and duplicates."""
    found = []
    for path in sorted((workspace / "documents").glob("part-*.parquet")):
        duplicates = {row["row"]: row for row in pq.read_table(workspace / "duplicates" / path.name).to_pylist()}
        decisions = pq.read_table(workspace / "decisions" / path.name).to_pylist()
        for document, decision in zip(pq.read_table(path).to_pylist(), decisions, strict=True):
            found.append({**duplicates.get(document["row"], {}), **document, **decision})
    return found


def candidates(documents: list[dict]) -> list[tuple[int, int, float]]:
    """Return all pairs that share a band, with their exact similarity, by brute force."""
    params = MinHashParams(num_perm=112, ngram=5, seed=1)
    text = pa.array([document["text"] for document in documents], pa.large_string())
    keys = band_keys(minhash_signatures(text, params).signatures, NEAR["bands"], NEAR["rows"])
    hashes, offsets = shingle_hashes(text, params)
    sets = [set(hashes[a:b].tolist()) for a, b in itertools.pairwise(offsets)]
    buckets: dict[int, list[int]] = {}
    for row, own in enumerate(keys.tolist()):
        for key in own:
            buckets.setdefault(key, []).append(row)
    pairs = {pair for held in buckets.values() for pair in itertools.combinations(held, 2)}
    return [(a, b, len(sets[a] & sets[b]) / len(sets[a] | sets[b])) for a, b in sorted(pairs)]


def test_no_two_kept_documents_of_any_builds_are_alike(made: Path) -> None:
    kept = [row for name in NAMES for row in rows(made / name) if row["kept"]]
    assert [pair for pair in candidates(kept) if pair[2] >= THRESHOLD] == []
    assert len({row["url"] for row in kept}) == len(kept)
    assert len({row["content_hash"] for row in kept}) == len(kept)


def test_it_drops_what_one_build_of_everything_would_drop_some_member_of(made: Path) -> None:
    chain = {row["native_id"]: row for name in NAMES for row in rows(made / name)}
    whole = {row["native_id"]: row for row in rows(made / "all")}
    assert chain.keys() == whole.keys()
    documents = list(chain.values())
    alike: dict[str, set[str]] = {name: {name} for name in chain}
    for a, b, value in candidates(documents):
        if value >= THRESHOLD or documents[a]["content_hash"] == documents[b]["content_hash"]:
            one, two = documents[a]["native_id"], documents[b]["native_id"]
            alike[one].add(two)
            alike[two].add(one)
    by_url: dict[str, set[str]] = {}
    for name, row in chain.items():
        by_url.setdefault(row["url"], set()).add(name)
    for build in (chain, whole):  # every dropped document has a kept one that it resembles, or of its address
        for name, row in build.items():
            if not row["kept"]:
                versions = by_url[row["url"]] | {other for url in by_url[row["url"]] for other in alike[url]}
                assert any(build[other]["kept"] for other in alike[name] | versions)
    kept = {name: sum(build[n]["kept"] for n in build) for name, build in (("chain", chain), ("whole", whole))}
    assert abs(kept["chain"] - kept["whole"]) <= 0.05 * kept["whole"]
    first = [row for row in rows(made / "one") if row["kept"]]
    alone = {row["native_id"] for row in first}
    assert all(chain[name]["kept"] for name in alone)  # the difference: what was kept once stays
    assert not all(whole[name]["kept"] for name in alone)


def test_leaders_name_their_build_and_earlier_documents_are_in_no_other_table(made: Path) -> None:
    labels = {earlier.label_of(str(made / name)): name for name in NAMES}
    assert all(label.startswith("made@") for label in labels)
    three = rows(made / "three")
    assert len(three) == 60
    removed = [row for row in three if row.get("leader")]
    ids = {name: {row["doc_id"]: row["kept"] for row in rows(made / name)} for name in NAMES}
    builds = [labels.get(row["leader_build"], "three") for row in removed]
    assert {"one", "two"} <= set(builds)
    assert all(ids[build][row["leader"]] for row, build in zip(removed, builds, strict=True))
    assert all(row["leader_build"] is None for row in three if row.get("component_id") and not row["leader"])
    context, plan = load_workspace(str(made / "three"))
    chosen = next(row for row, build in zip(removed, builds, strict=True) if build == "two")
    [place] = find_document(context, plan, chosen["doc_id"])
    life = document_life(context, *place)
    assert labels[life["duplicate"]["leader_build"]] == "two"
    assert life["duplicate"]["leader_workspace"] == str(made / "two")


def test_no_candidates_lie_across_train_and_heldout_of_any_builds(made: Path) -> None:
    documents = [{**row, "build": name} for name in NAMES for row in rows(made / name)]
    kept = [row["kept"] for row in documents]
    across = crossing = 0
    for a, b, _ in candidates(documents):
        one, two = documents[a], documents[b]
        earlier_kept = kept[a] if NAMES.index(one["build"]) < NAMES.index(two["build"]) else kept[b]
        if one["build"] != two["build"] and earlier_kept:
            across += 1
            crossing += "heldout" in (one["split"], two["split"])
            assert one["split"] == two["split"]
    assert across > 10
    assert crossing > 2


def data_files(workspace: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(workspace)): p.read_bytes()
        for p in workspace.rglob("*")
        if p.suffix in (".parquet", ".arrow")
    }


def test_neither_their_order_nor_their_place_enters(made: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(made / name, tmp_path / f"moved-{name}")
    against = [tmp_path / "moved-two", tmp_path / "moved-one"]
    saved = against[0] / "recipe.json"
    saved.write_text(saved.read_text().replace(str(made / "one"), str(against[1])))
    other = curate(tmp_path, "three", ["three"], against)
    assert data_files(other) == data_files(made / "three")
    recipes = [load_recipe(str(p / "corpus-three/recipe.yaml")) for p in (made, tmp_path)]
    assert recipes[0].recipe_id == recipes[1].recipe_id


@pytest.mark.parametrize(
    ("against", "recipe", "error", "expected"),
    [
        (["one", "nowhere"], {}, InputError, "not a workspace"),
        (["two"], {}, ConfigError, "made against another build"),
        (["one", "one"], {}, ConfigError, "wrong list"),
        (["three"], {}, ConfigError, "wrong list"),
        (["one"], {"near": {"ngram": 4}}, ConfigError, "other signatures"),
    ],
)
def test_wrong_earlier_builds_are_refused(
    made: Path, tmp_path: Path, against: list[str], recipe: dict, error: type, expected: str
) -> None:
    dedup = {"near": NEAR | recipe.get("near", {}), "against": [str(made / name) for name in against]}
    path = write_corpus(tmp_path, ["three"], [], dedup=dedup)
    with pytest.raises(error, match=expected):
        run_curate(CurateOptions(str(path), str(made / "three"), workers=1))


def test_signatures_of_another_version_are_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "one", tmp_path / "one")
    path = sorted((tmp_path / "one/signatures").iterdir())[0]
    table = pq.read_table(path)
    other = pa.array([[value + 1 for value in row] for row in table["signature"].to_pylist()], table["signature"].type)
    changed = table.set_column(table.schema.get_field_index("signature"), table.schema.field("signature"), other)
    tables.write_table(str(tmp_path / "one"), f"signatures/{path.name}", changed, table.schema)
    with pytest.raises(ConfigError, match="signatures of another version"):
        curate(tmp_path, "two", ["two"], [tmp_path / "one"])


def test_verify_finds_a_leader_that_the_earlier_build_no_longer_keeps(made: Path, tmp_path: Path) -> None:
    from pipelines.beam.curate import run_verify
    from pipelines.contracts.errors import StageError

    for name in ("one", "two"):
        shutil.copytree(made / name, tmp_path / name)
    saved = tmp_path / "two/recipe.json"
    saved.write_text(saved.read_text().replace(str(made / "one"), str(tmp_path / "one")))
    run_verify(str(tmp_path / "two"), workers=1)
    led = {row["leader"] for row in rows(tmp_path / "two") if row.get("leader_build")}
    path = next(
        p for p in sorted((tmp_path / "one/decisions").iterdir()) if led & set(pq.read_table(p)["doc_id"].to_pylist())
    )
    table = pq.read_table(path)
    kept = pa.array([row["kept"] and row["doc_id"] not in led for row in table.to_pylist()])
    changed = table.set_column(table.schema.get_field_index("kept"), table.schema.field("kept"), kept)
    tables.write_table(str(tmp_path / "one"), f"decisions/{path.name}", changed, table.schema)
    with pytest.raises((VerifyError, StageError), match="its leader is not kept"):
        run_verify(str(tmp_path / "two"), workers=1)
