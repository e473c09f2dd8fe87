"""The reference pages of commands and of the recipe are complete and up to date."""

import importlib.util
from pathlib import Path

import pytest

from pipelines.contracts.recipe import Recipe

DOCS = Path(__file__).resolve().parent.parent / "docs"
_spec = importlib.util.spec_from_file_location("docs_generate_commands", DOCS / "generate_commands.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text("utf-8")


@pytest.mark.parametrize("name", ["cli.md", "recipe.md"])
def test_pages_are_up_to_date(name: str) -> None:
    assert reference(name) == generate.pages()[name], "run: python docs/generate_commands.py"


def test_every_command_and_flag_is_documented() -> None:
    page = reference("cli.md")
    assert len(list(generate.commands())) >= 7
    for name, command in generate.commands():
        section = page.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        assert command.help.strip() in section
        for parameter in command.params:
            label = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper()
            assert label in section
            assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"


def test_every_recipe_key_is_documented() -> None:
    for key in Recipe.model_fields:
        assert f"| `{key}` |" in reference("recipe.md")
