"""The main content of a page: our model of blocks, and trafilatura where that is unsure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from pipelines.contracts.recipe import Extract
from pipelines.ops.pages.blocks import BlockModel, Page, block_model, cut_page
from pipelines.ops.pages.metadata import Metadata, page_metadata

_SECOND_OPINION_BYTES = 2 << 20  # of larger pages trafilatura takes seconds
_LEAST_CHARS = 80.0  # running text outside of links, below which a page has none to lose


@dataclass(frozen=True)
class Content:
    """What a page holds.

    Attributes:
        text: main content, as text or Markdown.
        metadata: what the page says of itself.
        method: who decided: `blocks`, `trafilatura`, `resiliparse`, `all` (no main content was asked for, or none
            was found and the page has text).
    """

    text: str
    metadata: Metadata
    method: str


def page_content(html: str, options: Extract, model: BlockModel | None = None) -> Content:
    """Extract the content of a page.

    Args:
        html: the decoded page.
        options: which extractor, which parts, which format.
        model: another block model than the one of the package.
    """
    tree = HTMLTree.parse(html)
    written = str(tree)
    metadata = page_metadata(tree.title, written)
    markdown = options.format == "markdown"
    if options.html == "resiliparse":
        text = extract_plain_text(tree, main_content=options.main_content, alt_texts=False)
        return Content("\n".join(line.rstrip() for line in text.split("\n")), metadata, "resiliparse")
    if options.html == "trafilatura" and options.main_content:
        return Content(_trafilatura(html, markdown=markdown), metadata, "trafilatura")
    text, method = _by_blocks(html, cut_page(written), options, model or block_model())
    return Content(text, metadata, method)


def _by_blocks(html: str, page: Page, options: Extract, model: BlockModel) -> tuple[str, str]:
    """Let the model decide, and ask for a second opinion if it is unsure; returns text and method."""
    markdown = options.format == "markdown"
    everything = np.ones(len(page.blocks), dtype=bool)
    if not options.main_content or not len(page.blocks):
        return page.text(everything, markdown=markdown), "all"
    scores = model.scores(page)
    keep = model.keep(page, scores)
    has_text = page.running_chars.sum() >= _LEAST_CHARS
    nothing = has_text and page.running_chars[keep].sum() < _LEAST_CHARS
    unsure = model.uncertainty(page, scores) > model.unsure
    if (nothing or unsure) and has_text and len(page.data) <= _SECOND_OPINION_BYTES:
        text = _trafilatura(html, markdown=markdown)
        if text:
            return text, "trafilatura"
    if nothing and not keep.any():
        return page.text(everything, markdown=markdown), "all"
    return page.text(keep, markdown=markdown), "blocks"


def _trafilatura(html: str, *, markdown: bool) -> str:
    """Ask trafilatura (Barbaresi 2021), without its slow fallbacks and without comments."""
    found = trafilatura.extract(
        html, fast=True, include_comments=False, output_format="markdown" if markdown else "txt", include_tables=True
    )
    return found or ""
