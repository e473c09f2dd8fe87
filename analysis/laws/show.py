"""The rows of a swarm's laws, laid out for one screen."""

from __future__ import annotations

from pathlib import Path

from analysis.laws.confirmation import NEEDED
from analysis.laws.rows import Rows


def format_rows(rows: Rows, workspace: Path) -> str:
    """Lay out laws, targets, mixtures, weights and what was left out.

    Args:
        rows: from `rows.table_rows`.
        workspace: for the commands that are named.
    """
    design_id = rows["laws"][0]["design_id"]
    lines = [
        f"laws of the swarm {design_id}: {rows['laws'][0]['runs']} runs, 5-fold cross-validation (Spearman x 100, mean over targets)"
    ]
    seen: set[str] = set()
    for row in rows["laws"]:
        if row["law"] not in seen:
            seen.add(row["law"])
            marks = [word for word, key in (("chosen", "chosen"), ("finds the optimum", "finds_optimum")) if row[key]]
            said = next((f"  {', '.join(marks)}" for marks in [marks] if marks), "")
            lines.append(f"{row['law']:<12} {row['spearman']:>6.1f}   error {row['rmse_sd']:.3f} sd{said}")
    lines.append(
        f"{'target':<12} {'utility':>7} {'sd of swarm':>12} {'of seeds':>9} {'in a block':>10} {'ceiling':>8} {'Spearman':>9}   (bpb)"
    )
    lines += [_target_line(row) for row in rows["law_targets"]]
    lines += _curve_lines(rows["law_curve"])
    lines.append(
        f"{'mixture':<10} {'predicted gain on natural [95 %]':<33} {'better':>6}  {'measured gain [95 %]':<30} status"
    )
    lines += [_mixture_line(row) for row in rows["law_mixtures"]]
    lines += _weight_lines(rows, workspace, design_id)
    lines += [f"left out: {row['what']}: {row['reason']}" for row in rows["law_left_out"]]
    return "\n".join(lines)


def _target_line(row: dict) -> str:
    seeds, inside, ceiling = (
        f"{row[key]:.4f}" if row[key] is not None else "-" for key in ("sd_seeds", "sd_in_block", "ceiling")
    )
    return (f"{row['target']:<12} {row['importance']:>7.3f} {row['sd_swarm']:>12.4f} {seeds:>9} {inside:>10} {ceiling:>8} "
            f"{row['spearman']:>9.1f}")  # fmt: skip


def _curve_lines(curve: list[dict]) -> list[str]:
    return [
        f"learnt from {row['runs']} runs: chosen law {row['spearman']:.1f} on the others, {row['difference']:+.1f} "
        f"[{row['lo']:+.1f}, {row['hi']:+.1f}] against LightGBM"
        for row in curve
        if row["law"] == "chosen"
    ]


def _gain(row: dict, prefix: str = "") -> str:
    gain = row["measured_gain" if prefix else "gain"]
    if gain is None:
        return "-"
    return f"{gain:+.4f} [{row[prefix + 'lo']:+.4f}, {row[prefix + 'hi']:+.4f}]"


def _mixture_line(row: dict) -> str:
    better = "-" if row["p_better"] is None else f"{row['p_better']:.2f}"
    return f"{row['mixture']:<10} {_gain(row):<33} {better:>6}  {_gain(row, 'measured_'):<30} {row['status']}"


def _weight_lines(rows: Rows, workspace: Path, design_id: str) -> list[str]:
    weights: dict[str, dict[str, dict]] = {}
    for row in rows["law_weights"]:
        weights.setdefault(row["mixture"], {})[row["slice"]] = row
    hidden = [name for name, some in weights.items() if any(row["weight"] is None for row in some.values())]
    shown = [name for name in weights if name not in hidden]
    lines = [f"{'slice':<12} {'limits':<14} {'swarm':<14} " + " ".join(f"{name:>9}" for name in shown)]
    for row in rows["law_slices"]:
        limits, swarm = f"{row['lower']:.3f}-{row['upper']:.3f}", f"{row['least']:.3f}-{row['most']:.3f}"
        cells = " ".join(f"{weights[name][row['slice']]['weight']:>9.3f}" for name in shown)
        best = weights["optimum"][row["slice"]]
        interval = f"   optimum {best['lo']:.3f}-{best['hi']:.3f} (95 %)" if "optimum" in shown else ""
        lines.append(f"{row['slice']:<12} {limits:<14} {swarm:<14} {cells}{interval}")
    if hidden and not any(row["what"].startswith("weights of") for row in rows["law_left_out"]):
        lines.append(
            f"weights of {', '.join(hidden)}: withheld until {NEEDED} fresh-seed runs against natural: "
            f"`mixtrace laws {workspace} {design_id} --confirm` (the optimum; with --baselines all of them)"
        )
    return lines
