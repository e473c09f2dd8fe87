"""The HTML: deterministic, escaped, self-contained; numbers as people read them."""

from __future__ import annotations

import doctest
import json
import re

import pytest

from reports import blocks, catalogue, charts, ddl, format, html, load
from reports.blocks import Banner, Column, Figure, Finding, Findings, Page, Prose, Tile, Tiles
from reports.commands import write_report
from reports.pages import study
from reports.pages.curation import draw_funnel
from reports.publish import publish

HOSTILE = "</script><script>alert(1)</script>&\"'\u2028"


def page_with(text: str) -> Page:
    rows = ({"name": text, "n": 3},)
    spec = charts.bars([{"name": text, "n": 3}], "name", "n", text)
    columns = (Column("name", text), Column("n", "n", "count"))
    return Page(
        "hostile",
        text,
        (
            Prose(text),
            Tiles((Tile(text, text, text),)),
            Findings(text, (Finding(text, "helps"),)),
            Figure("f", text, text, text, columns, rows, (spec,)),
        ),
    )


def test_hostile_text_stays_text():
    rendered = html.render(HOSTILE, HOSTILE, [page_with(HOSTILE)], {})
    assert "<script>alert" not in rendered
    assert rendered.count("<script") == rendered.count("</script>") == 4
    specs = json.loads(re.search(r'id="chart-specs">(.*?)</script>', rendered, re.S)[1])
    assert specs["chart-f-0"]["data"]["values"][0]["name"] == HOSTILE


def test_policy_forbids_every_request():
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html.render("t", "s", [], {}))[1]
    assert "default-src &#x27;none&#x27;" in policy
    assert "http" not in policy


def test_errors_go_to_the_top():
    pages = [
        page_with("a"),
        Page("controls", "Controls", (Banner("This study is void", "error"), Banner("a note"))),
        Page("decisions", "Decisions", (Banner("This study is void", "error"),)),  # said by two pages, shown once
    ]
    rendered = html.render("t", "s", pages, {})
    assert rendered.count("This study is void") == 1
    assert rendered.index("This study is void") < rendered.index("<nav")
    assert rendered.index("a note") > rendered.index('<section id="controls">')


def test_empty_figure_says_so():
    rendered = html.render_block(Figure("f", "t", "c", "SELECT 1", (Column("a", "a"),), ()))
    assert "the table is empty" in rendered


def test_long_tables_say_what_is_missing():
    rows = tuple({"a": i} for i in range(10))
    rendered = html.render_block(Figure("f", "t", "c", "s", (Column("a", "a", "count"),), rows, limit=4))
    assert rendered.count("<tr>") == 5
    assert "6 more rows" in rendered


def test_not_a_number_is_refused():
    spec = charts.bars([{"name": "a", "n": float("nan")}], "name", "n", "t")
    with pytest.raises(ValueError, match="not JSON compliant"):
        html.render("t", "s", [Page("p", "P", (Figure("f", "t", "c", "s", (), (), (spec,)),))], {})


def test_same_snapshot_same_bytes(studied_workspace):
    snapshot = publish(studied_workspace)
    first = write_report(snapshot).read_bytes()
    assert write_report(snapshot).read_bytes() == first
    assert write_report(publish(studied_workspace)).read_bytes() == first


def test_funnel_chart_groups_rare_reasons():
    rows = [{"source": "web", "outcome": "kept", "documents": 50, "text_bytes": 500}]
    rows += [{"source": "web", "outcome": f"rule{i:02d}", "documents": 20 - i, "text_bytes": 10} for i in range(12)]
    spec = draw_funnel(tuple(rows))[0]
    values = {v["outcome"]: v["documents"] for v in spec["data"]["values"]}
    assert values["other reasons"] == sum(20 - i for i in range(7, 12))
    assert sum(values.values()) == 50 + sum(20 - i for i in range(12))
    palette = charts.outcome_colours(list(values))
    assert palette["kept"] == charts.KEPT
    assert len(set(palette.values())) == len(palette)


def test_heat_map_greys_the_undetermined():
    cell = {"contrast": "a", "lo": -0.1, "hi": 0.1}
    rows = [
        {**cell, "target": "x", "estimate": 0.5, "verdict": "undetermined"},
        {**cell, "target": "y", "estimate": 0.2, "verdict": "helps"},
        {**cell, "target": "z", "estimate": -0.2, "verdict": "hurts"},
    ]
    values = charts.heat_map(rows, "target", "contrast", "estimate", "t")["data"]["values"]
    assert [v["fill"] for v in values] == [charts.UNDETERMINED, "#0072b2", "#d55e00"]
    assert [v["label"] for v in values] == ["+0.500", "+0.200", "−0.200"]


@pytest.mark.parametrize("module", [blocks, catalogue, charts, ddl, format, html, load, study])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0
