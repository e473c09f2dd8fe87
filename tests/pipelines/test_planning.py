"""Plans: ordered, append-only, and refused when the inputs are others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.contracts.errors import InputError
from pipelines.contracts.recipe import Recipe, Source
from pipelines.planning import load_plan, make_plan, repair_plan, source_root


def recipe_for(folder: Path, part_mb: float = 0.001, **formats: str) -> Recipe:
    sources = tuple(
        Source(name=name, path=(str(folder / name / "*"),), format=kind)
        for name, kind in (formats or {"a": "jsonl"}).items()
    )
    return Recipe(name="t", sources=sources, part_mb=part_mb)


def put(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((name.encode() + b"-") * (size // (len(name) + 1) + 1))
    return path


def test_parts_are_ordered_by_source_and_path_whatever_the_recipe_says(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a/x"):
        put(tmp_path, name, 900)
    recipe = recipe_for(tmp_path, b="text", a="text")
    plan = make_plan(recipe, str(tmp_path / "ws"))
    assert [(part.source, part.pieces[0].path) for part in plan.parts] == [("a", "x"), ("b", "10"), ("b", "2")]
    reordered = recipe.model_copy(update={"sources": recipe.sources[::-1]})
    assert make_plan(reordered, str(tmp_path / "other")).parts == plan.parts


def test_large_jsonl_is_cut_and_small_files_share_a_part(tmp_path: Path) -> None:
    put(tmp_path, "a/big.jsonl", 2500)
    for i in range(5):
        put(tmp_path, f"a/small{i}.jsonl", 200)
    parts = make_plan(recipe_for(tmp_path), str(tmp_path / "ws")).parts
    big = [piece for part in parts for piece in part.pieces if piece.path == "big.jsonl"]
    assert [(p.start, p.end) for p in big] == [(0, 1000), (1000, 2000), (2000, None)]
    assert [len(part.pieces) for part in parts] == [1, 1, 1, 4, 1]


def test_compressed_and_unsplittable_files_stay_whole(tmp_path: Path) -> None:
    put(tmp_path, "a/big.jsonl.gz", 2500)
    put(tmp_path, "b/big.xml", 2500)
    parts = make_plan(recipe_for(tmp_path, a="jsonl", b="mediawiki"), str(tmp_path / "ws")).parts
    assert [(p.pieces[0].start, p.pieces[0].end) for p in parts] == [(0, None), (0, None)]


def test_new_files_get_new_parts_and_old_parts_keep_their_numbers(tmp_path: Path) -> None:
    put(tmp_path, "a/m.jsonl", 900)
    recipe, workspace = recipe_for(tmp_path), str(tmp_path / "ws")
    first = make_plan(recipe, workspace)
    put(tmp_path, "a/b.jsonl", 900)
    second = make_plan(recipe, workspace)
    assert second.parts[: len(first.parts)] == first.parts
    assert [part.pieces[0].path for part in second.parts] == ["m.jsonl", "b.jsonl"]
    assert load_plan(recipe, workspace).parts == second.parts
    assert second.corpus_id != first.corpus_id


def test_changed_vanished_and_foreign_inputs_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "a/m.jsonl", 900)
    put(tmp_path, "c/m.jsonl", 900)
    recipe, workspace = recipe_for(tmp_path), str(tmp_path / "ws")
    make_plan(recipe, workspace)
    with pytest.raises(InputError, match="workspace of another recipe"):
        make_plan(recipe_for(tmp_path, c="jsonl"), workspace)
    path.write_bytes(b"other")
    with pytest.raises(InputError, match="has changed"):
        make_plan(recipe, workspace)
    path.unlink()
    put(tmp_path, "a/n.jsonl", 10)
    with pytest.raises(InputError, match="is gone"):
        make_plan(recipe, workspace)


def test_an_empty_glob_is_an_error_that_names_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source 'a': no input file: got .*a/\*"):
        make_plan(recipe_for(tmp_path), str(tmp_path / "ws"))


def test_the_root_of_a_source_is_what_its_globs_have_in_common() -> None:
    def root(*patterns: str) -> str:
        return source_root(Source(name="a", path=patterns, format="text"))

    assert root("/data/web/*.txt") == "/data/web"
    assert root("/data/aa/*.txt", "/data/ab/x/*.txt") == "/data"
    assert root("s3://bucket/aa/*", "s3://bucket/ab/*") == "s3://bucket"
    assert root("gs://bucket/a/**/*.gz") == "gs://bucket/a"


@pytest.mark.parametrize("size", [100, 900, 1500, 3900])
def test_a_repaired_file_is_cut_over_the_parts_that_held_it(tmp_path: Path, size: int) -> None:
    put(tmp_path, "a/big.jsonl", 2500)
    put(tmp_path, "a/small.jsonl", 200)
    recipe, workspace = recipe_for(tmp_path), str(tmp_path / "ws")
    before = make_plan(recipe, workspace)
    put(tmp_path, "a/big.jsonl", size)
    after = repair_plan(recipe, workspace, {1})
    assert [part.number for part in after.parts] == [part.number for part in before.parts]
    pieces = [piece for part in after.parts for piece in part.pieces if piece.path == "big.jsonl"]
    fresh = make_plan(recipe, str(tmp_path / "fresh"))
    assert pieces == [piece for part in fresh.parts for piece in part.pieces if piece.path == "big.jsonl"]
    changed = [new.mark != old.mark for old, new in zip(before.parts, after.parts, strict=True)]
    assert changed == [True, True, True, False]
    assert load_plan(recipe, workspace) == make_plan(recipe, workspace) == after


def test_only_files_of_the_given_parts_may_be_repaired(tmp_path: Path) -> None:
    for name in ("a/x.jsonl", "a/y.jsonl"):
        put(tmp_path, name, 900)
    recipe, workspace = recipe_for(tmp_path), str(tmp_path / "ws")
    make_plan(recipe, workspace)
    put(tmp_path, "a/y.jsonl", 950)
    with pytest.raises(InputError, match=r"planned file has changed: got y\.jsonl"):
        repair_plan(recipe, workspace, {0})
    (tmp_path / "a/x.jsonl").unlink()
    with pytest.raises(InputError, match=r"planned file is gone: got x\.jsonl"):
        repair_plan(recipe, workspace, {0})
