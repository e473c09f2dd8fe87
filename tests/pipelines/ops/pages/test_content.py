"""Main content: who decides, and that a page with text is never left empty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.recipe import Extract
from pipelines.ops.pages.blocks import block_model
from pipelines.ops.pages.content import page_content
from tests.data.formats import html_page
from tests.data.sentences import Writer

ARTICLE = Writer(5).document("en", 30)
PAGE = html_page("The Title", ARTICLE)
SURE, UNSURE = replace(block_model(), unsure=1.0), replace(block_model(), unsure=-1.0)
NOTHING, EVERYTHING = replace(SURE, threshold=np.inf), replace(SURE, threshold=-np.inf)


def words(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("options", [Extract(), Extract(html="trafilatura"), Extract(html="resiliparse")])
def test_every_extractor_finds_the_article(options: Extract) -> None:
    content = page_content(PAGE, options)
    assert words(ARTICLE) in words(content.text)
    assert "Contact" not in content.text
    assert content.metadata.title == "The Title"


def test_who_decides() -> None:
    assert page_content(PAGE, Extract(), SURE).method == "blocks"
    assert page_content(PAGE, Extract(), UNSURE).method == "trafilatura"
    assert page_content(PAGE, Extract(), NOTHING).method == "trafilatura"
    assert page_content(PAGE, Extract(main_content=False)).method == "all"
    assert page_content(PAGE, Extract(html="trafilatura")).method == "trafilatura"
    assert page_content(PAGE, Extract(html="resiliparse")).method == "resiliparse"


def test_the_threshold_decides_which_blocks_are_kept() -> None:
    assert "Contact" in page_content(PAGE, Extract(), EVERYTHING).text
    assert page_content(PAGE, Extract(), EVERYTHING).text == page_content(PAGE, Extract(main_content=False)).text


def test_a_page_that_nobody_understands_keeps_its_text() -> None:
    cells = "".join(f"<td>{number}" for number in range(100))
    content = page_content(f"<table><tr>{cells}</table>", Extract(), NOTHING)
    assert content.text
    assert "99" in content.text


@pytest.mark.parametrize("page", ["", " ", "<html>", "<!-- -->", "<script>x()</script>", "\x00"])
def test_empty_pages(page: str) -> None:
    assert page_content(page, Extract()).text == ""


def test_markdown() -> None:
    rows = "".join(f"<tr><td>{name}<td>{len(name)} characters are in this word</tr>" for name in ARTICLE.split()[:9])
    paragraphs = "".join(f"<p>{sentence}." for sentence in ARTICLE.split(".") if sentence.strip())
    page = f"<article><h1>Head</h1>{paragraphs}<h2>Table</h2><table>{rows}</table>{paragraphs}</article>"
    assert page_content(page, Extract(format="markdown"), EVERYTHING).text.startswith("# Head\n\n")
    text = page_content(page, Extract(format="markdown"), SURE).text
    assert "\n\n## Table\n\n| " in text
    assert "characters are in this word |\n| --- | --- |\n" in text
    plain = page_content(page, Extract(), SURE).text
    assert "#" not in plain
    assert "Table\n\n" in plain


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["text", "markdown"]), st.booleans())
def test_any_page(page: str, written: str, main_content: bool) -> None:
    options = Extract(format=written, main_content=main_content)
    first, again = page_content(page, options), page_content(page, options)
    assert first == again
