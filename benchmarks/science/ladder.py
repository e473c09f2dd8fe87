"""The ladder: do cheap proxies rank slices and decisions as a dearer one does, and which rung decides a question?

One design (leave-outs with proportional fill, the swap of quality rejects, sham, shuffle) on every rung, in the same blocks.
On each target, pairs of interventions whose order the top rung determines are looked up in the other rungs (science-notes 28).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import records
from analysis.design_file import load_design
from analysis.influence.ladder import climb, read_rung
from analysis.influence.ladder_command import cheapest_claimed, tables_of, write_ladder
from analysis.models.presets import preset
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.runs import own_workspace, run_seconds, trained, varied
from reports.pages.ladder import agreement_chart

TITLE = "Ladder: which rung decides?"
LEAST_SAME = 0.95
_FIELDS = ("model", "d_model", "layers", "heads", "context", "batch", "lr", "order")


@dataclass(frozen=True)
class Settings:
    """The design and its rungs.

    Attributes:
        rungs: preset and training tokens of each; the last one is the top.
        leave_out: slices that are left out at most, the first of the design.
        blocks: blocks.
        eval_tokens: held-out tokens per target and population.
        draws: resamples of the intervals.
    """

    rungs: tuple[tuple[str, int], ...] = (
        ("ngram-3", 65_536),
        ("ngram-3", 262_144),
        ("feedforward-0.4m", 65_536),
        ("lstm-0.3m", 65_536),
        ("llama-0.1m", 65_536),
        ("llama-0.4m", 65_536),
        ("llama-0.4m", 262_144),
    )
    leave_out: int = 4
    blocks: int = 4
    eval_tokens: int = 6_000
    draws: int = 1000


FULL = Settings()
SMALL = Settings((("ngram-3", 8192), ("llama-0.1m", 8192)), leave_out=2, blocks=2, eval_tokens=600, draws=50)


def measure(bench: Bench, settings: Settings) -> Results:
    """Train every rung, and climb."""
    folders = [trained(bench, _design(bench, settings, name, tokens)) for name, tokens in settings.rungs]
    workspace = own_workspace(bench)
    found = climb([read_rung(workspace, folder.name) for folder in folders], folders[-1].name, settings.draws)
    write_ladder(workspace, found)
    controls = {
        folder.name: records.read_table(folder / "controls.parquet", "controls").to_pylist() for folder in folders
    }
    return {
        **tables_of(found),
        "controls": controls,
        "left_out": found.left_out,
        "claimed": cheapest_claimed(found),
        "train_cpu_s": {folder.name: run_seconds(folder) for folder in folders},
    }


def _design(bench: Bench, settings: Settings, name: str, tokens: int) -> Path:
    proxy = preset(name, 4096)
    fields = {field: getattr(proxy, field) for field in _FIELDS if field != "order" or proxy.model == "ngram"}
    numerics = {} if name == "llama-0.4m" else {"dtype": "float32", "compile": "off"}
    return varied(
        bench,
        f"{name}-{tokens}",
        leave_out=list(load_design(str(bench.design)).leave_out[: settings.leave_out]),
        near_duplicates=None,
        blocks=settings.blocks,
        tokens=tokens,
        eval_tokens=settings.eval_tokens,
        choice_items=0,
        canary=0,
        proxy={**fields, **numerics, "adequacy": "show"},
    )


def claims(results: Results) -> list[Claim]:
    """The top rung passes its controls, and rungs that determine a pair do not contradict it."""
    top = results["rungs"][0]["design_id"]
    failed = _failed(results, top)
    below = [row for study, row in _whole(results).items() if study != top]
    same, other = (sum(row[name] for row in below) for name in ("agree", "disagree"))
    return [
        Claim("on the top rung the sham is null and the shuffle hurts", f"failed: {failed or 'none'}", not failed),
        Claim(
            f"a pair that a lower rung determines, too, is in the order of the top rung, in at least {LEAST_SAME:.0%} of cases",
            f"{same} in the same order, {other} in the other, over {len(below)} rungs",
            same > 0 and same >= LEAST_SAME * (same + other),
        ),
    ]


def _failed(results: Results, study: str) -> str:
    """Name the controls of a rung that failed."""
    return ", ".join(
        row["control"]
        for row in results["controls"][study]
        if row["control"] in ("sham", "shuffle") and not row["passed"]
    )


def _whole(results: Results) -> dict[str, dict[str, Any]]:
    return {row["rung_design_id"]: row for row in results["rung_agreement"] if row["target"] == "all"}


def lines(results: Results) -> list[str]:
    """Return the rungs, then the questions."""
    whole = _whole(results)
    rows = []
    for rung in results["rungs"]:
        row = whole[rung["rung_design_id"]]
        flops = f"{rung['flops_per_run'] / 1e9:,.0f}" if rung["flops_per_run"] else "–"
        interval = "–" if row["lo"] is None else f"{row['agreement']:.0%} [{row['lo']:.0%}, {row['hi']:.0%}]"
        if rung["is_top"] and row["lo"] is not None:
            interval = f"ceiling {row['redrawn']:.0%} [{row['lo']:.0%}, {row['hi']:.0%}]"
        adequacy = next(c for c in results["controls"][rung["rung_design_id"]] if c["control"] == "adequacy")
        rows.append(
            f"| {rung['rung']}{' (top)' if rung['is_top'] else ''} | {rung['cpu_s_per_run']:.2f} | {flops} | {adequacy['estimate']:+.3f} | "
            f"{_failed(results, rung['rung_design_id']) or '–'} | {row['agree']} | {row['disagree']} | {row['undetermined']} | {interval} | "
            f"{'yes' if row['claimed'] and not rung['is_top'] else '–'} |"
        )
    answers = [
        f"| {row['contrast']} | {row['estimate_at_top']:+.3f} | {row['verdict_at_top']} | {row.get('cheapest') or '–'} | {row.get('reason') or ''} |"
        for row in results["rung_answers"]
    ]
    cheapest = results["claimed"] or "none below the top"
    return [
        "| rung | CPU s per run | GFLOP per run | bpb over the 3-gram | controls that failed | same order | other order | undetermined | agreement [95 %] | 90 % may be said |",
        "|---|---|---|---|---|---|---|---|---|---|", *rows, "",
        f"Of {results['rungs'][0]['contrasts']} contrasts that all rungs share; verdicts of a rung whose controls fail are withheld. "
        f"Cheapest rung whose agreement is 90 % or more (lower end above .90): {cheapest}. The ceiling is what another study like the "
        "top rung would reach. Which is the cheapest rung that decides this question as the top does (selected on these runs)?", "",
        "| question | effect at the top [bpb] | verdict at the top | cheapest rung | note |", "|---|---|---|---|---|", *answers,
    ]  # fmt: skip


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw cost against agreement."""
    rungs = {row["rung_design_id"]: row for row in results["rungs"]}
    rows = [{**rungs[study], **row} for study, row in _whole(results).items() if row["agreement"] is not None]
    return {"agreement": agreement_chart(rows)} if rows else {}
