"""Docs stay true: generated pages are current, links resolve, commands are documented."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["tables.md", "signals-and-rules.md"])
def test_generated_pages_are_current(page: str) -> None:
    expected = generator().PAGES[page]()
    assert (ROOT / "docs" / "reference" / page).read_text("utf-8") == expected, "run `python docs/generate.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_command_is_in_the_readme() -> None:
    import beam_runner

    readme = (ROOT / "README.md").read_text("utf-8")
    for command in beam_runner.app.registered_commands:
        assert f"mixtrace {command.name or command.callback.__name__}" in readme
    for group, word in (("design", "plan"), ("report", "build")):
        assert f"mixtrace {group} {word}" in readme
