"""What a classifier is, in JSON and in words: inputs, examples, settings, metrics, hashes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.statistics.classification import auc_interval, average_precision, best_f1, operating, roc_auc

THRESHOLDS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def measure_heldout(heldout: pa.Table, probability: np.ndarray, seed: int) -> dict[str, Any]:
    """Measure probabilities of held-out texts.

    Args:
        heldout: `[rows]` with positive and group.
        probability: `[rows]` of the positive label.
        seed: of the resamples behind the interval.
    """
    positive = np.asarray(heldout["positive"])
    group = pc.dictionary_encode(heldout["group"].combine_chunks()).indices.to_numpy().astype(np.int64)
    return {
        "heldout": {"positive": int(positive.sum()), "negative": int((~positive).sum())},
        "groups": int(group.max()) + 1,
        "roc_auc": roc_auc(positive, probability),
        "roc_auc_95": list(auc_interval(positive, probability, group, seed=seed)),
        "average_precision": average_precision(positive, probability),
        "best_f1": asdict(best_f1(positive, probability)),
        "thresholds": [asdict(operating(positive, probability, threshold)) for threshold in THRESHOLDS],
    }


def markdown(card: dict[str, Any]) -> str:
    """Write a card for people."""
    metrics = card["metrics"]
    low, high = metrics["roc_auc_95"]
    heldout = metrics["heldout"]
    lines = [
        f"# Quality classifier {card['model']['sha256'][:12]}",
        "",
        f"fastText, {card['model']['bytes']:,} bytes, sha256 `{card['model']['sha256']}`. Labels: "
        + ", ".join(f"`{label}`" for label in card["labels"]) + ".",
        "",
        "## Held-out texts",
        "",
        f"{heldout['positive']:,} positive and {heldout['negative']:,} negative texts in {metrics['groups']:,} groups "
        "that were never trained on.",
        "",
        f"ROC AUC {metrics['roc_auc']:.4f} (95 % interval {low:.4f} to {high:.4f}, over groups); average precision "
        f"{metrics['average_precision']:.4f}.",
        "",
        "| threshold | precision | recall | F1 | false positive rate | called |",
        "|---|---|---|---|---|---|",
        *(_threshold_row(row, "") for row in metrics["thresholds"]),
        _threshold_row(metrics["best_f1"], " (best F1)"),
        "",
        "Precision holds for the shares of the classes above; elsewhere the false positive rate and the recall do.",
        "",
        "## Examples",
        "",
        *_examples(card),
        "## Settings",
        "",
        *(f"- {name}: {value}" for name, value in card["settings"].items()),
        f"- text: {card['normalisation']}",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _threshold_row(row: dict[str, Any], note: str) -> str:
    shares = " | ".join(f"{row[name]:.4f}" for name in ("precision", "recall", "f1", "false_positive_rate"))
    return f"| {row['threshold']:.4g}{note} | {shares} | {row['called']:,} |"


def _examples(card: dict[str, Any]) -> list[str]:
    lines = []
    for name, body in card["classes"].items():
        lines += [f"### {name}", ""]
        for one in body["inputs"]:
            if "where" in one:
                lines.append(f"- documents of a workspace (hash `{one['documents_hash']}`) with `{one['where']}`")
            else:
                lines.append(f"- file `{one['file']}` ({one['bytes']:,} bytes, xxh3 `{one['xxh3']}`)")
        lines.append("- " + ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in body["counts"].items()))
        lines.append("- by source: " + ", ".join(f"{key} {value:,}" for key, value in body["sources"].items()))
        lines += [f"- unreadable: {fault}" for fault in body["faults"]]
        lines.append("")
    return lines
