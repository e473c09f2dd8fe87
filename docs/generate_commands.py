#!/usr/bin/env python
"""Make the pages of commands and of the recipe from the code: `python docs/generate_commands.py`. A test compares them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_HEAD = "<!-- Made by docs/generate_commands.py from the code. Do not edit: change the code and run it again. -->\n\n"


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name."""
    import typer

    import beam_runner

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for child in command.commands.values():
                yield from walk(f"{name} {child.name}", child)
        else:
            yield name, command

    yield from walk("mixtrace", typer.main.get_command(beam_runner.app))


def cli_page() -> str:
    """Describe every command, argument and flag."""
    text = "# Commands\n\n`mixtrace` after installation, `python beam_runner.py` in a checkout. Exit codes: 0 done, 1 failed,\n"
    text += "2 wrong recipe, flag or input, 3 too many bad records, 130 stopped. Unknown flags are errors.\n\n"
    for name, command in commands():
        rows = []
        for parameter in command.params:
            shown = " ".join([*parameter.opts, *parameter.secondary_opts])
            is_argument = parameter.param_type_name == "argument"
            label = parameter.name.upper() if is_argument else shown
            rows.append([f"`{label}`", "yes" if parameter.required else "", getattr(parameter, "help", "") or ""])
        text += f"## {name}\n\n{(command.help or '').strip()}\n\n"
        text += _table(["argument or flag", "required", "meaning"], rows)
        if command.epilog:
            text += command.epilog.strip() + "\n\n"
    return text


def recipe_page() -> str:
    """Describe every key of a recipe."""
    from pipelines.contracts.recipe import Recipe

    schema = Recipe.model_json_schema()
    text = "# Recipe\n\nA YAML 1.2 file. Unknown keys are errors. Paths are relative to the recipe file.\n\n"
    for name, body in [("Recipe", schema), *sorted(schema["$defs"].items())]:
        text += f"## {name}\n\n{_docstring(body.get('description', ''))}\n\n"
        required = body.get("required", [])
        rows = []
        for key, spec in body["properties"].items():
            default = "" if key in required else f"`{spec.get('default', '{}')}`"
            rows.append([f"`{key}`", _type(spec), "required" if key in required else default])
        text += _table(["key", "type", "default"], rows)
    return text


def _docstring(text: str) -> str:
    """Turn the attributes of a Google docstring into a list."""
    head, _, attributes = text.partition("Attributes:")
    lines = attributes.splitlines()
    body = ""
    for line in filter(str.strip, lines):
        deep = len(line) - len(line.lstrip()) > 4
        body += f" {line.strip()}" if deep else f"\n- {line.strip()}"
    return head.strip() + (f"\n{body}" if body else "")


def _type(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        return spec["$ref"].rsplit("/", 1)[1]
    if "anyOf" in spec:
        return " or ".join(_type(one) for one in spec["anyOf"])
    if "enum" in spec or "const" in spec:
        return ", ".join(f"`{value}`" for value in spec.get("enum", [spec.get("const")]))
    if spec.get("type") == "array":
        return f"list of {_type(spec.get('items', {}))}"
    if isinstance(spec.get("additionalProperties"), dict):
        return f"mapping of {_type(spec['additionalProperties'])}"
    names = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {spec[key]:g}" for key, sign in names.items() if key in spec]
    return " ".join([spec.get("type", "any"), *bounds])


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    made = {
        "cli.md": cli_page(),
        "recipe.md": recipe_page(),
    }
    return {name: _HEAD + text.rstrip() + "\n" for name, text in made.items()}


if __name__ == "__main__":
    for file_name, page in pages().items():
        (ROOT / "docs" / "reference" / file_name).write_text(page, "utf-8")
