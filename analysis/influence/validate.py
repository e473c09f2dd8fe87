"""Validate: do predictions of a method agree with what was measured, on the same contrasts?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.influence.lds import RESAMPLES, Lds, spearman_columns

ALPHA = 0.05
MIN_CONTRASTS = 5


def validate(predicted: Sequence[dict], measured: Sequence[dict], seed: int = 0) -> list[dict]:
    """Compare rows of the table `effects`, joined by contrast and metric.

    Args:
        predicted: rows of any methods.
        measured: rows of one reference, usually method "retrain".
        seed: of the bootstrap over contrasts.

    Returns:
        Per method, a row of the table `lds` at level "contrasts": Spearman correlation with its interval over
        contrasts, its ceiling sqrt(1 - mean se^2 / variance of the measured effects), the share of determined effects
        (q <= .05) whose sign is right, and the share of predictions inside the measured 95 % interval.
    """
    truth = {(row["contrast"], row["metric"]): row for row in measured if row.get("estimate") is not None}
    rows = []
    for method in dict.fromkeys(row["method"] for row in predicted):
        mine = [row for row in predicted if row["method"] == method and row.get("estimate") is not None]
        pairs = [(row, truth[key]) for row in mine if (key := (row["contrast"], row["metric"])) in truth]
        rows.append({"method": method, **_agreement(pairs, seed)})
    return rows


def lds_row(method: str, level: str, score: Lds) -> dict:
    """Return a linear datamodelling score as a row of the table `lds`."""
    reason = None if score.usable else "not usable: the interval includes 0"
    return {
        "method": method, "level": level, "lds": score.lds, "lo": score.lo, "hi": score.hi,
        "ceiling": None if math.isnan(score.ceiling) else score.ceiling, "n_subsets": score.n_subsets,
        "n_queries": score.n_queries, "n_repeats": score.n_repeats, "usable": score.usable, "reason": reason,
    }  # fmt: skip


def missing_row(method: str, level: str, n_subsets: int, reason: str) -> dict:
    """Return a row that says why there is no score."""
    return {"method": method, "level": level, "n_subsets": n_subsets, "n_queries": 0, "n_repeats": 0, "usable": False,
            "reason": reason}  # fmt: skip


def _agreement(pairs: list[tuple[dict, dict]], seed: int) -> dict:
    if len(pairs) < MIN_CONTRASTS:
        reason = f"only {len(pairs)} contrasts were both predicted and measured; {MIN_CONTRASTS} are needed"
        empty = missing_row("", "contrasts", len(pairs), reason)
        return {name: value for name, value in empty.items() if name != "method"}
    x = np.array([row["estimate"] for row, _ in pairs])
    y = np.array([row["estimate"] for _, row in pairs])
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(pairs), (RESAMPLES, len(pairs)))
    lo, hi = np.percentile(spearman_columns(x[draws].T, y[draws].T), [2.5, 97.5])
    determined = [at for at, (_, row) in enumerate(pairs) if row.get("q") is not None and row["q"] <= ALPHA]
    inside = [row["lo"] <= x[at] <= row["hi"] for at, (_, row) in enumerate(pairs) if row.get("lo") is not None]
    errors = [row["se"] ** 2 for _, row in pairs if row.get("se") is not None]
    noise = float(np.mean(errors)) / float(y.var(ddof=1)) if errors and y.var() > 0 else math.nan
    return {
        "level": "contrasts",
        "lds": float(spearman_columns(x[:, None], y[:, None])[0]),
        "lo": float(lo),
        "hi": float(hi),
        "ceiling": None if math.isnan(noise) else math.sqrt(max(0.0, 1 - noise)),
        "slope": float((x * y).sum() / (x**2).sum()) if x.any() else None,
        "sign_agreement": float((np.sign(x) == np.sign(y))[determined].mean()) if determined else None,
        "coverage": float(np.mean(inside)) if inside else None,
        "n_subsets": len(pairs),
        "n_queries": len({(row["target"], row["population"]) for row, _ in pairs}),
        "n_repeats": min(row["n_blocks"] for _, row in pairs),
        "usable": bool(lo > 0),
        "reason": None if lo > 0 else "not usable: the interval includes 0",
    }
