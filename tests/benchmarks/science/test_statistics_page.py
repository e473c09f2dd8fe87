"""The page of the statistics shows the coverage that is kept."""

from __future__ import annotations

from pathlib import Path

from benchmarks.science import page, results, simulations


def test_the_coverage_of_the_page_is_the_kept_one() -> None:
    kept = results.read(results.FOLDER / "simulations.json")["results"]
    text = Path(page.PAGE.with_name("statistics.md")).read_text("utf-8")
    shown = text.split("<!-- coverage: start -->\n", 1)[1].split("<!-- coverage: end -->", 1)[0]
    assert shown.strip() == "\n".join(simulations.coverage_table(kept)), "copy it from docs/reference/science.md"
