"""Render pages as one HTML file that opens without a network: charts, their library, styles and data are inline.

The content security policy forbids every request, so "no external request" is a property of the file.
"""

from __future__ import annotations

import functools
import html
import json
from pathlib import Path

from reports.blocks import Banner, Block, Column, Figure, Findings, MarkedText, Page, Prose, Row, Spec, Tiles
from reports.format import FORMATS

_STYLE = Path(__file__).with_name("style.css")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
_NUMBER_KINDS = {"count", "bytes", "share", "number", "effect"}

# The bundle declares many one-letter globals, so our own names live in a block.
_SCRIPT = """{
  const specs = JSON.parse(document.getElementById("chart-specs").textContent);
  const config = JSON.parse(document.getElementById("chart-theme").textContent);
  const options = {config, renderer: "svg", actions: false};
  Promise.all(Object.entries(specs).map(([id, spec]) => vegaEmbed("#" + id, spec, options))).then(
    () => { document.body.dataset.ready = "true"; },
    (error) => { document.body.dataset.failed = String(error); console.error(error); });
}"""


def render(title: str, subtitle: str, pages: list[Page], theme: Spec) -> str:
    """Render a report.

    Args:
        title: heading.
        subtitle: line below it.
        pages: sections in order; banners of level error of any of them go to the top.
        theme: Vega configuration of all charts.

    Returns:
        The text of a self-contained HTML file, the same for the same arguments.
    """
    blocks = (block for page in pages for block in page.blocks)
    errors = dict.fromkeys(block for block in blocks if isinstance(block, Banner) and block.level == "error")
    specs = {
        f"chart-{block.name}-{i}": spec
        for page in pages
        for block in page.blocks
        if isinstance(block, Figure)
        for i, spec in enumerate(block.charts)
    }
    navigation = "".join(f'<li><a href="#{page.slug}">{_text(page.title)}</a></li>' for page in pages)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY, quote=True)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>",
        f'<header id="top"><h1>{_text(title)}</h1><p class="sub">{_text(subtitle)}</p>',
        *(render_block(banner) for banner in errors),
        f'</header><nav aria-label="Sections"><ul>{navigation}</ul></nav><main>',
        *(render_page(page) for page in pages),
        "</main><footer>Made by mixtrace from the records of the workspace. This file asks for nothing from any network; "
        "every figure folds out the SQL that made it.</footer>",
        f'<script type="application/json" id="chart-specs">{_json(specs)}</script>',
        f'<script type="application/json" id="chart-theme">{_json(theme)}</script>',
        f"<script>{_bundle()}</script><script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def render_page(page: Page) -> str:
    """Render one section; banners of level error are shown at the top of the report instead."""
    blocks = [block for block in page.blocks if not (isinstance(block, Banner) and block.level == "error")]
    body = "".join(render_block(block) for block in blocks)
    return f'<section id="{page.slug}"><h2>{_text(page.title)}</h2>{body}</section>'


def render_block(block: Block) -> str:
    """Render one block."""
    if isinstance(block, Prose):
        return f'<p class="prose">{_text(block.text)}</p>'
    if isinstance(block, Banner):
        return f'<div class="banner {block.level}" role="alert">{_text(block.text)}</div>'
    if isinstance(block, Tiles):
        return '<div class="tiles">' + "".join(
            f'<div class="tile"><div class="value">{_text(t.value)}</div><div class="label">{_text(t.label)}</div>'
            f'<div class="note">{_text(t.note)}</div></div>'
            for t in block.tiles
        ) + "</div>"  # fmt: skip
    if isinstance(block, Findings):
        items = "".join(f'<li class="{_text(item.verdict)}">{_text(item.text)}</li>' for item in block.items)
        return f'<div class="card"><h3>{_text(block.title)}</h3><ul class="findings">{items}</ul></div>'
    if isinstance(block, MarkedText):
        return _marked_text(block)
    return _figure(block)


def _marked_text(block: MarkedText) -> str:
    """Write a text with its marks; the first piece of a run of one kind carries the number of the kind."""
    numbers = {kind: number for number, kind in enumerate(block.colours, start=1)}
    legend = "".join(
        f'<li><mark style="--mark:{block.colours[kind]}"><sup>{number}</sup>{_text(kind)}</mark></li>'
        for kind, number in numbers.items()
    )
    pieces, before = [], None
    for text, kind, said in block.pieces:
        if kind is None:
            pieces.append(_text(text))
        else:
            number = f"<sup>{numbers[kind]}</sup>" if kind != before else ""
            pieces.append(
                f'<mark style="--mark:{block.colours[kind]}" title="{_text(said)}">{number}{_text(text)}</mark>'
            )
        before = kind
    return (
        f'<div class="card" id="{block.name}"><h3>{_text(block.title)}</h3><p class="caption">{_text(block.caption)}</p>'
        f'<ul class="legend">{legend}</ul><p class="traced" dir="auto">{"".join(pieces)}</p>'
        f"<details><summary>SQL</summary><pre>{_text(block.sql)}</pre></details></div>"
    )


def _figure(block: Figure) -> str:
    charts = "".join(f'<div class="chart" id="chart-{block.name}-{i}"></div>' for i in range(len(block.charts)))
    return (
        f'<div class="card" id="{block.name}"><h3>{_text(block.title)}</h3><p class="caption">{_text(block.caption)}</p>'
        + (f'<div class="charts">{charts}</div>' if charts else "")
        + (_table(block) if block.rows else '<p class="empty">Nothing to show: the table is empty.</p>')
        + f"<details><summary>SQL</summary><pre>{_text(block.sql)}</pre></details></div>"
    )


def _table(block: Figure) -> str:
    head = "".join(f"<th{_class(c)}>{_text(c.label)}</th>" for c in block.columns)
    body = "".join(f"<tr>{''.join(_cell(c, row) for c in block.columns)}</tr>" for row in block.rows[: block.limit])
    hidden = len(block.rows) - block.limit
    more = f'<p class="empty">{hidden:,} more rows in the snapshot.</p>' if hidden > 0 else ""
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'


def _class(column: Column) -> str:
    if column.kind in _NUMBER_KINDS:
        return ' class="num"'
    return f' class="{column.kind}"' if column.kind in ("code", "long") else ""


def _cell(column: Column, row: Row) -> str:
    shown = _text(FORMATS[column.kind](row[column.name]))
    if column.kind == "verdict":
        shown = f'<span class="verdict {shown}">{shown}</span>'
    return f"<td{_class(column)}>{shown}</td>"


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _json(value: object) -> str:
    """Serialise for a script element: no "<" may end it, and nothing may be NaN."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@functools.cache
def _bundle() -> str:
    """Return the JavaScript of Vega, Vega-Lite and Vega-Embed, once for all charts (about 0.9 MB)."""
    import vl_convert

    return vl_convert.javascript_bundle().replace("</script", "<\\/script")
