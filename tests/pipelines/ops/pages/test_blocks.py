"""Pages cut into blocks: against the parser's own text, and on hostile pages."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from pipelines.kernels.html_context import CONTEXT, close_gaps, context, likelihood, uncertainty
from pipelines.kernels.html_features import FEATURES
from pipelines.kernels.html_scan import MAX_DEPTH
from pipelines.kernels.html_tags import HINT_FOUND, HINT_STEPS, HINTS, TAGS
from pipelines.ops.pages.blocks import Page, block_model, cut_page


def cut(html: str) -> Page:
    return cut_page(str(HTMLTree.parse(html)))


def whole(html: str, *, markdown: bool = False) -> str:
    page = cut(html)
    return page.text(np.ones(len(page.blocks), dtype=bool), markdown=markdown)


def test_blocks_and_their_tags() -> None:
    page = cut("<h1>Title</h1><p>One <b>two</b><p>three<div>four<span> five</span><ul><li>six<li>seven</ul>eight</div>")
    tags = [TAGS[page.elements[element, 0]] for element in page.blocks]
    assert tags == ["h1", "p", "p", "div", "li", "li", "div"]
    texts = [page.text(np.arange(len(tags)) == block) for block in range(len(tags))]
    assert texts == ["Title", "One two", "three", "four five", "- six", "- seven", "eight"]
    assert page.chars.tolist() == [5, 6, 5, 8, 3, 5, 5]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a &amp; b &lt;c&gt; &quot;d&quot; &copy; &nbsp;e", 'a & b <c> "d" © e'),
        ("one<br>two<br/>  three", "one\ntwo\nthree"),
        ("one<br><br>two", "one\n\ntwo"),
        ("<pre>def f():\n    return 1\n\n# end</pre>after", "def f():\n    return 1\n\n# end\n\nafter"),
        ("<ul><li>a<ul><li>b<li>c</ul><li>d</ul>", "- a\n  - b\n  - c\n- d"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<ul><li><p>a<p>b</ul>", "- a\n  b"),
        ("<table><tr><th>x<th>y<tr><td>1<td>2</table>", "x | y\n1 | 2"),
        ("<table><tr><td><p>a<p>b<td>c</table>", "a b | c"),
        ("a<script>var x = '<p>no</p>';</script><style>p{}</style><!-- no <p> --> b", "a b"),
        ("<body><noscript><p>no</p></noscript><template><p>no</p></template><p>yes", "yes"),
        ("<textarea>no</textarea><select><option>no</select><button>no</button>yes", "yes"),
        ("<svg><text>no</text></svg>yes", "yes"),
        ('<a title="x > y <p>">link</a> text', "link text"),
        ("<p>x</p> \n <p>y</p>", "x\n\ny"),
        ("水は<b>透明</b>です", "水は透明です"),
        ("<title>no</title><iframe><p>no</iframe>yes", "yes"),
        ("", ""),
        ("<html><head></head></html>", ""),
        ("<frameset><frame src=x></frameset>", ""),
    ],
)
def test_text_of_whole_pages(html: str, text: str) -> None:
    assert whole(html) == text


def test_markdown() -> None:
    html = (
        "<h2>Head</h2><p>text<ul><li>a<li>b</ul><blockquote>said</blockquote><pre>x = 1\ny</pre>"
        "<table><tr><th>h<th>i<tr><td>1<td>2</table><p>end"
    )
    expected = (
        "## Head\n\ntext\n\n- a\n- b\n\n> said\n\n```\nx = 1\ny\n```\n\n| h | i |\n| --- | --- |\n| 1 | 2 |\n\nend"
    )
    assert whole(html, markdown=True) == expected


_MARKUP = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<b>",
        "</b>",
        "<a",
        "href=x>",
        "</a>",
        "<ul>",
        "<li>",
        "</ul>",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "<pre>",
        "</pre>",
        "<br>",
        "<h1>",
        "</h1>",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<",
        ">",
        "&",
        '"',
        "'",
        "&amp;",
        "&#0;",
        "<svg>",
        "<math>",
        "<template>",
        "</template>",
        "<form>",
        "<option>",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(_MARKUP, st.text(max_size=6))))
def test_any_page_gives_the_words_that_the_parser_sees(parts: list[str]) -> None:
    tree = HTMLTree.parse("<body>" + " ".join(parts))
    page = cut_page(str(tree))
    text = page.text(np.ones(len(page.blocks), dtype=bool))
    for node in ("script", "style", "svg", "template", "title", "select", "noscript"):
        for element in list(tree.document.get_elements_by_tag_name(node)):
            if element.parent is not None:
                element.decompose()
    seen = re.findall(r"\w+", tree.body.text.replace("\0", "")) if tree.body else []
    if not re.search(r"<(?:option|button|textarea|iframe)", " ".join(parts)) and "\ufffd" not in text:
        assert "".join(re.findall(r"\w", text)) == "".join("".join(seen))
    scores = block_model().scores(page)
    assert scores.shape == (len(page.blocks),)
    assert np.isfinite(scores).all()


def test_deep_and_large_pages_take_linear_time() -> None:
    start = time.perf_counter()
    deep = cut("<div>" * 100_000 + "deep text")
    assert deep.elements[:, 2].max() <= MAX_DEPTH + 1
    assert deep.text(np.ones(len(deep.blocks), dtype=bool)) == "deep text"
    huge = cut(f'<p class="{"comment " * 200_000}" style="{"x" * 1_000_000}">text</p>' + "<p>a</p>" * 50_000)
    assert len(huge.blocks) == 50_001
    nested = cut(("<div>" * 300 + "<p>x</p>" * 20_000) + "<li>" * 5_000)
    for page in (deep, huge, nested):
        block_model().scores(page)
    lists = cut("<ol>" + "<li>a" * 50_000)
    assert lists.text(np.ones(50_000, dtype=bool)).endswith("\n50000. a")
    assert time.perf_counter() - start < 20


def test_features_are_what_their_names_say() -> None:
    page = cut('<div class="comments"><p>Hello, world. <a>Link</a></p></div><article><p>TEXT 123</p></article>')
    seen = dict(zip(FEATURES, page.features().T.tolist(), strict=True))
    assert seen["own_chars"] == [16.0, 7.0]
    assert seen["own_link_frac"] == [4 / 16, 0.0]
    assert seen["own_comma_frac"] == [1 / 16, 0.0]
    assert seen["own_digit_frac"] == [0.0, 3 / 7]
    assert seen["in_article"] == [0.0, 1.0]
    assert seen["around+1_chars"] == [7.0, -1.0]
    comment = next(number for number, words in enumerate(HINTS) if "comment" in words.split())
    assert seen[f"hint_near_{comment}"] == [2.0, 0.0]


def test_words_in_class_names_are_found_by_brute_force_as_well() -> None:
    generator = np.random.default_rng(0)
    words = [word for group in HINTS for word in group.split()]
    for _ in range(300):
        text = "-".join(generator.choice([*words, "xx", "Comm", "ENT"], 4)).upper()
        state, found = 0, 0
        for byte in text.encode():
            state = HINT_STEPS[state, byte]
            found |= int(HINT_FOUND[state])
        expected = sum(
            1 << bit for bit, group in enumerate(HINTS) if any(word in text.lower() for word in group.split())
        )
        assert found == expected


def test_context_against_plain_sums() -> None:
    generator = np.random.default_rng(1)
    scores, chars = generator.normal(size=20), generator.integers(1, 99, 20).astype(float)
    p = np.array([likelihood(score) for score in scores])
    got = dict(zip(CONTEXT, context(scores, chars).T, strict=True))
    assert np.array_equal(got["score"], scores)
    assert np.array_equal(got["likely+2"][:-2], p[2:])
    near = [
        (p[max(0, b - 3) : b + 4] * chars[max(0, b - 3) : b + 4]).sum() / chars[max(0, b - 3) : b + 4].sum()
        for b in range(20)
    ]
    assert np.allclose(got["likely_within_3"], near)
    assert np.allclose(got["page_likely"], (p * chars).sum() / chars.sum())
    assert np.isclose(uncertainty(scores, chars), (chars * p * (1 - p)).sum() / (chars * p).sum())


@pytest.mark.parametrize(
    ("html", "keep", "kept"),
    [
        ("<p>a<pre>b</pre><p>c", "101", "111"),
        ("<p>a<pre>b</pre><pre>c</pre><p>d", "1001", "1111"),
        ("<p>a<pre>b</pre><p>c<pre>d</pre><p>e", "10001", "10001"),
        ("<pre>a</pre><p>b<pre>c</pre>", "010", "010"),
        ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "0101", "0111"),
        ("<table><tr><th>a<td>b<tr><th>c<td>d</table>", "1001", "1111"),
        ("<p>a<h2>b</h2><p>c", "101", "101"),
        ("", "", ""),
    ],
)
def test_gaps_of_code_cells_and_terms_are_closed(html: str, keep: str, kept: str) -> None:
    page = cut(html)
    given_keep = np.array([mark == "1" for mark in keep], dtype=bool)
    closed = close_gaps(page.elements, page.blocks, given_keep)
    assert "".join("1" if mark else "0" for mark in closed) == kept
