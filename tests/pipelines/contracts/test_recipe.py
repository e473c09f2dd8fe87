"""Recipes: defaults, identity, and errors that name file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import Recipe, load_recipe

GOOD = """
name: demo
sources:
  - {name: web, path: raw/*.warc.gz, format: warc}
  - {name: notes, path: [a.jsonl, b.jsonl], format: jsonl, fields: {text: body.text}}
rules:
  short: {signal: gopher_words, min: 1e1, languages: [en, no]}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_yaml_1_2_keeps_norwegian_and_exponents(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.rules["short"].languages == ("en", "no")
    assert recipe.rules["short"].min == 10.0
    assert recipe.source("notes").fields.text == "body.text"


def test_paths_are_relative_to_the_recipe_and_do_not_enter_its_identity(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    here = load_recipe(write(tmp_path, GOOD))
    there = load_recipe(write(tmp_path / "elsewhere", GOOD))
    assert here.sources[0].path == (str(tmp_path / "raw/*.warc.gz"),)
    assert here.sources[0].path != there.sources[0].path
    assert here.recipe_id == there.recipe_id
    assert here.recipe_id != here.model_copy(update={"part_mb": 1.0}).recipe_id


@pytest.mark.parametrize(
    ("change", "where", "found", "hint"),
    [
        (("format: warc", "fromat: warc"), ":4:38 sources.0.fromat", "'fromat'", "Did you mean 'format'?"),
        (("min: 1e1", "min: many"), ":7:33 rules.short.min", "'many'", "number"),
        (("name: demo", "name: Demo!"), ":2:1 name", "'Demo!'", "pattern"),
        (("format: jsonl", "format: docx"), ":5:45 sources.1.format", "'docx'", "'jsonl'"),
        (("rules:", "rulez:"), ":6:1 rulez", "'rulez'", "Did you mean 'rules'?"),
        (("min: 1e1, ", ""), ":7:3 rules.short", "gopher_words", "at least one of min, max"),
        (("name: notes", "name: web"), ":1:1", "web", "every source name once"),
        (("languages: [en, no]", "sources: [wbe]"), ":1:1", "wbe", "Did you mean 'web'?"),
    ],
)
def test_every_fault_names_place_finding_and_expectation(
    tmp_path: Path, change: tuple[str, str], where: str, found: str, hint: str
) -> None:
    path = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    text = caught.value.message
    assert path + where in text
    assert found in text
    assert hint in text
    assert caught.value.exit_code == 2


def test_all_faults_of_a_file_are_listed_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("format: warc", "fromat: warc").replace("rules:", "rulez:"))
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert "fromat" in caught.value.message
    assert "rulez" in caught.value.message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"name: [", "broken YAML"),
        (b"- a\n- b\n", "not a mapping"),
        (b"name: \xff\n", "not UTF-8"),
        (b"name: a\nname: b\n", "broken YAML"),
    ],
)
def test_files_that_are_not_recipes(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=expected):
        load_recipe(str(path))


def test_a_missing_recipe_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_recipe(str(tmp_path / "none.yaml"))


def test_the_resolved_recipe_round_trips(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
