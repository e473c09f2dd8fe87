"""Make `docs/reference/science.md` and its pictures from the kept results, and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.science import results
from benchmarks.science.catalogue import STUDIES, module_of
from reports.charts import THEME

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "science.md"
WIDTH_PX = 640
_INTRO = """# Science: how far the numbers can be trusted

Made by `python -m benchmarks.science --page` from `benchmarks/science/results/*.json`; how to read it:
[trust a study](../howto/trust-a-study.md). `make science` measures the first part again (at most 10 minutes on 2 idle
cores), `make science-factorial`, `science-swarm`, `science-lds` and `science-ladder` the others; each resumes, and fails
if one of its claims does not hold."""


def picture(name: str, chart: str) -> str:
    """Return the path of a picture, from the page."""
    return f"science/{name}-{chart}.svg"


def section(name: str, kept: dict[str, Any]) -> list[str]:
    """Return the section of one study in Markdown."""
    module = module_of(name)
    about = " ".join((module.__doc__ or "").split("\n\n", 1)[0].split())
    where = (
        f"`{_command(name)}`: {kept['cpu_s']:.0f} s of processor time, {kept['wall_s']:.0f} s on {kept['machine']}, "
        f"{', '.join(f'{package} {number}' for package, number in kept['versions'].items())}, commit {kept['commit']}. "
        f"Settings: {', '.join(f'{key} {value}' for key, value in kept['settings'].items())}."
    )
    pictures = [f"![{module.TITLE}: {chart}]({picture(name, chart)})" for chart in module.charts(kept["results"])]
    shown = [part for one in pictures for part in (one, "")]
    return [f"## {module.TITLE}", "", about, "", *module.lines(kept["results"]), "", *shown, where, ""]


def _command(name: str) -> str:
    return f"python -m benchmarks.science {name}"


def claims_table(records: dict[str, dict[str, Any]]) -> list[str]:
    """Return all claims of all studies as a table."""
    lines = ["| study | claim | found | holds |", "|---|---|---|---|"]
    claims = [(name, claim) for name, kept in records.items() for claim in module_of(name).claims(kept["results"])]
    return lines + [f"| {name} | {c.text} | {c.found} | {'yes' if c.holds else '**no**'} |" for name, c in claims]


def markdown(records: dict[str, dict[str, Any]]) -> str:
    """Return the page.

    Args:
        records: what is kept, by study.
    """
    ordered = {name: records[name] for name in STUDIES if name in records}
    missing = [name for name in STUDIES if name not in records]
    note = [f"Not kept yet: {', '.join(missing)}.", ""] if missing else []
    parts = [line for name, kept in ordered.items() for line in section(name, kept)]
    return "\n".join([_INTRO, "", *claims_table(ordered), "", *note, *parts]).rstrip() + "\n"


def svg(spec: dict[str, Any]) -> str:
    """Draw a Vega-Lite specification at the width of the page, on white."""
    import vl_convert

    fixed = {**spec, "width": WIDTH_PX, "background": "white", "config": {**THEME, "background": "white"}}
    return vl_convert.vegalite_to_svg(fixed)


def write() -> None:
    """Write the page and all pictures."""
    records = results.kept_records()
    for name, kept in records.items():
        for chart, spec in module_of(name).charts(kept["results"]).items():
            path = PAGE.parent / picture(name, chart)
            path.parent.mkdir(exist_ok=True)
            path.write_text(svg(spec), "utf-8")
    PAGE.write_text(markdown(records), "utf-8")
