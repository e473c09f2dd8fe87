"""The command `ladder`: which rungs agree with the top one, and which is the cheapest that decides a question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analysis import records
from analysis.influence.ladder import Ladder, climb, comparable, read_rung, top_rung
from pipelines.contracts.errors import InputError, message


def run_ladder(workspace: Path, design_ids: Sequence[str], top: str | None = None, *, as_json: bool = False) -> Ladder:
    """Climb a ladder of studies, write its tables into the folder of the top rung, and print it.

    Args:
        workspace: where the studies lie.
        design_ids: studies; if empty, all whose effects were estimated and that ask what the top one asks.
        top: study that the others are compared with; the dearest per run if None.
        as_json: print JSON.

    Raises:
        InputError: if a study is not there, or nothing can be compared.
    """
    known = records.list_studies(workspace)
    estimated = [one for one in known if (records.study_folder(workspace, one) / "effects.parquet").is_file()]
    chosen = list(dict.fromkeys(design_ids or estimated))
    for design_id in (*chosen, *([top] if top else [])):
        if design_id not in known:
            raise InputError(message(str(workspace), "no such study", design_id, f"one of {known}"))
    rungs, aside = [read_rung(workspace, design_id) for design_id in chosen], {}
    if len(rungs) > 1 and not design_ids:
        rungs, aside = comparable(rungs, top_rung(rungs, top))
    found = climb(rungs, top)
    found = replace(found, left_out={**aside, **found.left_out})
    write_ladder(workspace, found)
    print(json.dumps(tables_of(found), indent=1) if as_json else format_ladder(found))
    return found


def tables_of(found: Ladder) -> dict[str, list[dict]]:
    """Return the rows of a ladder by table."""
    return {"rungs": found.rungs, "rung_agreement": found.agreement, "rung_answers": found.answers}


def write_ladder(workspace: Path, found: Ladder) -> None:
    """Write the tables of a ladder into the folder of its top rung."""
    folder = records.study_folder(workspace, found.rungs[0]["design_id"])
    for name, rows in tables_of(found).items():
        records.write_table(folder / f"{name}.parquet", records.from_rows(rows, name), name)


def cheapest_claimed(found: Ladder) -> str | None:
    """Return the name of the cheapest rung below the top whose agreement may be called 90 %, or None."""
    below = {row["rung_design_id"] for row in found.rungs if not row["is_top"]}
    whole = (row for row in found.agreement if row["target"] == "all" and row["rung_design_id"] in below)
    return next((row["rung"] for row in whole if row["claimed"]), None)


def format_ladder(found: Ladder) -> str:
    """Lay a ladder out for one screen."""
    top = next(row for row in found.rungs if row["is_top"])
    lines = [
        f"ladder of {len(found.rungs)} rungs over {top['contrasts']} common contrasts; top: {top['rung']}, {top['n_blocks']} blocks",
        f"{'rung':<24} {'CPU s/run':>9} {'agree':>6} {'against':>8} {'open':>5}  agreement [95 %]          of pairs determined at the top",
    ]
    whole = {row["rung_design_id"]: row for row in found.agreement if row["target"] == "all"}
    for rung in found.rungs:
        row = whole[rung["rung_design_id"]]
        share = "no pair is determined" if row["agreement"] is None else _share(rung, row)
        lines.append(
            f"{rung['rung']:<24} {rung['cpu_s_per_run']:>9.2f} {row['agree']:>6} {row['disagree']:>8} {row['undetermined']:>5}  {share}"
        )
    claimed = cheapest_claimed(found)
    lines.append(
        f"cheapest rung whose agreement is 90 % or more (lower end above .90): {claimed or 'none below the top'}"
    )
    lines.append("cheapest rung that decides a question as the top does (selected here: confirm with fresh seeds):")
    for row in found.answers:
        what = row.get("cheapest") or "–"
        note = f"  ({row['reason']})" if row.get("reason") else ""
        lines.append(f"  {row['contrast']:<40} {row['verdict_at_top']:<13} {what}{note}")
    lines += [f"left out: {name}: {why}" for name, why in found.left_out.items()]
    return "\n".join(lines)


def _share(rung: dict, row: dict) -> str:
    if rung["is_top"]:
        return f"ceiling {row['redrawn']:.0%} [{row['lo']:.0%}, {row['hi']:.0%}] (another study like it)"
    return f"{row['agreement']:.0%} [{row['lo']:.0%}, {row['hi']:.0%}]" + (
        "  90 % may be said" if row["claimed"] else ""
    )
