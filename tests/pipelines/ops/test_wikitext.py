"""Wikitext to text, with mwparserfromhell as oracle for what both handle."""

from __future__ import annotations

import re
import time

import mwparserfromhell
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ops.wikitext import plain_text
from tests.data.sentences import LANGUAGES, Writer


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''bold''' and ''it'' and '''''both'''''", "bold and it and both"),
        ("it's 'quoted'", "it's 'quoted'"),
        ("[[a]] [[b|c]] [[d|e ''f'']] [[:Category:G]] [[Help:H|]]", "a c e f Category:G H"),
        ("x[[Category:Y]][[Datei:Z.jpg|thumb|cap [[in]] {{t}}]][[fr:Titre]]z", "xz"),
        (
            "[http://a.example label here] [https://b.example] [mailto:x@y.example me] http://bare.example",
            "label here me http://bare.example",
        ),
        ("a{{b|{{c}}|d={{{e|f}}}}}g", "ag"),
        (
            "{{lang|el|λόγος}} {{lang-de|Wort}} {{nowrap|5 km}} {{convert|5|km|mi}} 1{{ndash}}2 {{unknown|x}}",
            "λόγος Wort 5 km 5 km 1–2",
        ),
        ('before\n{| class="x"\n! h\n|-\n| 1 || {{t}} [[l]]\n{|\n| inner\n|}\n|}\nafter', "before\n\nafter"),
        ("a<ref>b</ref>c<ref name=x />d<REF name='y'>{{e}}\n</REF>f", "acdf"),
        ("a<!-- b --> c <!-- d", "a c d"),
        ("<nowiki>[[x]] ''y'' {{z}}</nowiki> &lt;b&gt; &amp;amp;", "[[x]] ''y'' {{z}} <b> &amp;"),
        ("<syntaxhighlight lang=c>\na[0] = {{1}};\n* p\n</syntaxhighlight>", "a[0] = {{1}};\n* p"),
        ("E<sub>1</sub> <math>x^2</math>and<br/>next <span style='x'>s</span>", "E1 and\nnext s"),
        ("a < b and c > d, x<5", "a < b and c > d, x<5"),
        (
            "== One ==\ntext\n=== Empty ===\n== Two ==\n* a\n## b\n: c\n;d\n----\n== End ==",
            "One\n\ntext\n\nTwo\n\n- a\n- b\nc\nd",
        ),
        ("__NOTOC__ Person ({{IPA|x}}; born) was (, ) here", "Person (born) was here"),
        ("-{zh-hans:网络; zh-hant:網路}- -{同}-", "网络 同"),
        ("open {{t and [[l\nand <ref>r", "open t and l\nand r"),
        ("close }} and ]] and </ref>", "close and and"),
        ("", ""),
    ],
)
def test_examples(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


def test_same_words_as_mwparserfromhell() -> None:
    for seed, language in enumerate(LANGUAGES):
        paragraphs = Writer(seed).document(language, 12).split("\n\n")
        source = "\n\n".join(
            f"'''{p[:5]}'''{p[5:]} [[target|label]]<ref>{{{{x}}}}</ref> &amp; {{{{y|z}}}}" for p in paragraphs
        )
        expected = mwparserfromhell.parse(source).strip_code()
        assert re.findall(r"\w+", plain_text(source)) == re.findall(r"\w+", expected)


_MARKUP = st.sampled_from(
    [
        "{{",
        "}}",
        "[[",
        "]]",
        "{|",
        "|}",
        "\n",
        "|",
        "''",
        "<ref>",
        "</ref>",
        "<!--",
        "-->",
        "<nowiki>",
        "</nowiki>",
        "=",
        "*",
        "-{",
        "}-",
        "[http://a ",
        "]",
        "x",
        " ",
    ]
)


@given(st.lists(_MARKUP, max_size=60).map("".join))
def test_no_input_raises_and_no_bracket_pair_stays(wikitext: str) -> None:
    text = plain_text(wikitext)
    if "nowiki" not in wikitext:
        for mark in ("''", "<ref", "</ref"):
            assert mark not in text


_HOSTILE = [
    "[//",
    "[[",
    "{{",
    "[[a|",
    "{|\n",
    "= ",
    "<ref>",
    "<!--",
    "</ref>",
    "<ref",
    "''",
    "-{",
    "(",
    "\n= x =",
    "{{{",
    "[http://a b ",
    " \n",
    "<b",
]


@pytest.mark.parametrize("unit", _HOSTILE)
def test_hostile_pages_take_linear_time(unit: str) -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        plain_text(unit * count)
        plain_text(unit * (count // 2) + "]]}}|}" * (count // 2))
        return time.process_time() - start

    assert seconds(64_000) < 2.5  # quadratic time would be minutes
