"""The tables of docs/reference/duplicate-quality.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.duplicates.checks import Guarantees, RemovalBin
from benchmarks.duplicates.curves import CurvePoint
from benchmarks.duplicates.workspace import StageCost


def removal_table(bins: Sequence[RemovalBin], threshold: float) -> list[str]:
    """Lay out removals by similarity to the nearest kept document; the last line is precision and recall."""
    lines = ["| similarity to the nearest kept document | documents | removed | share |", "|---|---|---|---|"]
    lines += [
        f"| {each.name} | {each.documents:,} | {each.removed:,} | {_percent(each.removed, each.documents)} |"
        for each in bins
    ]
    above = [each for each in bins if each.name in ("[.8, .9)", "[.9, 1)", "1")]
    removed, wanted = sum(each.removed for each in bins), sum(each.documents for each in above)
    right = sum(each.removed for each in above)
    precision, recall = _percent(right, removed), _percent(right, wanted)
    return [*lines, "", f"At the threshold of {threshold}: precision {precision}, recall {recall}.", ""]


def curve_table(points: Sequence[CurvePoint], interval: str) -> list[str]:
    """Lay out how often pairs were candidates beside what the mathematics says."""
    lines = [f"| similarity of the pair | pairs | expected | found | {interval} |", "|---|---|---|---|---|"]
    for point in points:
        low, high = max(point.low, 0.0), min(point.high, 1.0)
        told = f"{low:.2%} – {high:.2%}" + ("" if point.agrees else ", **not covered**")
        lines.append(f"| {point.name} | {point.pairs:,} | {point.expected:.2%} | {point.observed:.2%} | {told} |")
    return [*lines, ""]


def guarantee_table(found: Guarantees) -> list[str]:
    """Lay out the promises: how many cases there were, and how many broke."""
    removed = sum(found.removed.values())
    rows = [
        ("removed documents whose leader is kept", removed, len(found.no_kept_leader)),
        ("removed documents with the stated exact similarity to it, at or above the threshold", removed, len(found.unlike_leader)),
        ("candidate pairs of which not both are kept at or above the threshold", found.candidates, len(found.kept_candidates)),
        ("documents that pass all rules, kept or led by a kept one", found.passing, len(found.lost)),
        ("candidate pairs that are on one side of the split", found.candidates, len(found.straddling)),
    ]  # fmt: skip
    lines = ["| promise | cases | broken |", "|---|---|---|"]
    lines += [f"| {name} | {cases:,} | {broken:,} |" for name, cases, broken in rows]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.removed.items()))
    rescued = f"In {found.rescued:,} components the longest document fails a rule and another one is kept in its place."
    return [*lines, "", f"Removed: {kinds}. {rescued}", ""]


def natural_script_table(scripts: Mapping[str, Sequence[RemovalBin]]) -> list[str]:
    """Lay out what was removed of the guide's pages, by script and similarity to the nearest kept document."""
    names = [each.name for each in next(iter(scripts.values()))]
    lines = ["| removed of the guide's pages | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for script, bins in scripts.items():
        lines.append(f"| {script} | " + " | ".join(f"{each.removed} of {each.documents}" for each in bins) + " |")
    return [*lines, ""]


def straddling_table(rows: Sequence[tuple[str, int, int]]) -> list[str]:
    """Lay out how many pairs of brute force have one side held out; none of them is a candidate."""
    lines = ["| similarity of the pair | pairs | one held out, one not |", "|---|---|---|"]
    return [*lines, *(f"| {name} | {pairs:,} | {across:,} |" for name, pairs, across in rows), ""]


def script_table(rows: Sequence[tuple[str, Sequence[CurvePoint]]], bins: Sequence[str]) -> list[str]:
    """Lay out planted pairs: per script and bin, candidates of pairs (and what is expected)."""
    lines = ["| script | " + " | ".join(bins) + " |", "|---" * (len(bins) + 1) + "|"]
    for script, points in rows:
        of_bin = {point.name: point for point in points}
        cells = [
            f"{point.observed:.0%} of {point.pairs} ({point.expected:.0%})" if (point := of_bin.get(name)) else ""
            for name in bins
        ]
        lines.append(f"| {script} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def template_table(runs: Sequence[tuple[str, Sequence[StageCost]]], stages: Sequence[str]) -> list[str]:
    """Lay out CPU seconds and peak memory of the duplicate stages, one template a row."""
    head = " | ".join(f"{stage} CPU s" for stage in stages)
    lines = [f"| pages | {head} | peak RSS before, during | removed |", "|---" * (len(stages) + 3) + "|"]
    for name, costs in runs:
        of_stage = {cost.stage: cost for cost in costs}
        seconds = " | ".join(f"{of_stage[stage].cpu_s:.1f}" for stage in stages)
        before, during = of_stage["measure"].peak_mb, max(of_stage[stage].peak_mb for stage in stages)
        removed = of_stage["resolve"].counts.get("removed/near", 0)
        lines.append(f"| {name} | {seconds} | {before:.0f}, {during:.0f} MB | {removed:,} |")
    return [*lines, ""]


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "–"
