"""Add a small study to a workspace: scores drawn by a seeded generator, effects computed from those scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import scipy.stats

from analysis import records

DESIGN = "d0000000000000001"
TARGETS = ("web", "wiki", "code")
BLOCKS = 5
TOKENS = 262_144
# true change of bits per byte of each cell on (its own slice, the others)
CELLS = {
    "full": ("base", None, 0.0, 0.0),
    "without-web": ("treatment", "web", 0.4, -0.05),
    "without-wiki": ("treatment", "wiki", 0.5, -0.04),
    "without-code": ("treatment", "code", 0.6, 0.0),
    "add-short": ("treatment", "too-short", 0.03, 0.03),
    "sham": ("null", None, 0.0, 0.0),
    "shuffle": ("positive", None, 0.12, 0.12),
}
SLICES = {
    "web": ("source = 'web'", "source"),
    "wiki": ("source = 'wiki'", "source"),
    "code": ("source = 'code'", "source"),
    "too-short": ("first_reason = 'too_short'", "decision"),
}


def build_study(workspace: Path, *, broken_sham: bool = False) -> Path:
    """Write all tables of a study; with `broken_sham` its null control hurts."""
    study = records.study_folder(workspace, DESIGN)
    study.mkdir(parents=True)
    (study / "design.json").write_text(json.dumps({"name": "tiny study", "blocks": BLOCKS}))
    rng = np.random.default_rng(11)
    bpb = _draw(rng, broken_sham)
    _write(study, "slices", [
        {"slice": name, "where_sql": where, "kind": kind, "description": f"documents where {where}", "documents": 10, "tokens": 1000, "bytes": 3000}
        for name, (where, kind) in SLICES.items()
    ])  # fmt: skip
    _write(study, "slice_atoms", [{"slice": name, "atom": name} for name in SLICES])
    _write(study, "cells", [
        {"cell": cell, "role": role, "mixture_id": f"m-{cell}", "baseline": "full", "transform": cell if cell in ("sham", "shuffle") else "none", "share": 0.2, "tokens": TOKENS, "lr": 6e-3, "description": cell}
        for cell, (role, *_) in CELLS.items()
    ])  # fmt: skip
    _write_mixtures(study)
    _write_runs(study, bpb, rng)
    _write_effects(study, bpb)
    _write_metrics(study)
    return study


def _draw(rng: np.random.Generator, broken_sham: bool) -> dict[tuple[str, int, str, str], float]:
    bpb = {}
    for block in range(BLOCKS):
        shift = rng.normal(0, 0.02)
        for cell, (_, own, on_own, on_others) in CELLS.items():
            for target in TARGETS:
                change = on_own if own == target or cell == "shuffle" else on_others
                if cell == "sham" and broken_sham:
                    change = 0.2
                for population in ("kept", "unfiltered"):
                    bpb[cell, block, target, population] = 2.8 + shift + change + rng.normal(0, 0.008)
    return bpb


def _write(study: Path, name: str, rows: list[dict]) -> None:
    with_design = [{"design_id": DESIGN, **row} for row in rows]
    records.write_table(study / f"{name}.parquet", records.from_rows(with_design, name), name)


def _write_mixtures(study: Path) -> None:
    rows = []
    for cell, (_, own, *_) in CELLS.items():
        shares = {atom: 0.0 if atom == own or atom == "too-short" else 1.0 for atom in SLICES}
        if cell == "add-short":
            shares["too-short"] = 0.5
        total = sum(shares.values())
        for atom, part in shares.items():
            drawn = round(TOKENS * part / total)
            rows.append({
                "mixture_id": f"m-{cell}", "cell": cell, "atom": atom, "slice": atom, "weight": part / total, "pool_tokens": 100_000,
                "planned_tokens": drawn, "drawn_tokens": drawn, "drawn_bytes": 3 * drawn, "epochs": drawn / 100_000,
            })  # fmt: skip
    _write(study, "mixture_weights", rows)


def _write_runs(study: Path, bpb: dict, rng: np.random.Generator) -> None:
    runs = []
    for cell in CELLS:
        for block in range(BLOCKS):
            run_id = f"{cell}-{block}"
            folder = study / "runs" / run_id
            folder.mkdir(parents=True)
            runs.append({
                "run_id": run_id, "cell": cell, "block": block, "seed": block, "model": "llama", "proxy_id": "p", "status": "finished",
                "tokens": TOKENS, "train_cpu_s": 10.0 + block, "tokens_per_cpu_s": TOKENS / (10.0 + block), "device": "cpu",
                "dtype": "float32", "compiled": True, "torch": "2", "train_nats_per_token": 4.0,
            })  # fmt: skip
            curve = [
                {"run_id": run_id, "step": s, "train_tokens": s * 512, "train_nats_per_token": 8.3 - s / 128}
                for s in (128, 256, 512)
            ]
            scores = [
                {"run_id": run_id, "target": t, "population": p, "component": f"c{c}", "nats": bpb[cell, block, t, p] * np.log(2) * n, "tokens": n // 3, "bytes": n, "train_tokens": TOKENS}
                for t in TARGETS for p in ("kept", "unfiltered") for c, n in enumerate((3000, 9000))
            ]  # fmt: skip
            items = [
                {"run_id": run_id, "target": t, "item_id": f"{t}-{i}", "component": "c0", "gold_nats": 9.0, "gold_bytes": 60, "margin_bpb": float(rng.normal(0.1, 0.3)), "correct": bool(i % 2)}
                for t in TARGETS for i in range(4)
            ]  # fmt: skip
            for name, rows in (("curves", curve), ("scores", scores), ("item_scores", items)):
                records.write_table(folder / f"{name}.parquet", records.from_rows(rows, name), name)
            _write_evaluation(folder, cell, block)
            (folder / "run.json").write_text("{}")
    _write(study, "runs", runs)


def _write_evaluation(folder: Path, cell: str, block: int) -> None:
    """Write what a run whose design names tasks has besides, and samples of one run."""
    margin = 0.2 if cell == "full" else -0.1
    items = [
        {"design_id": DESIGN, "model": folder.name, "task": task, "item_id": f"{task}-{i}", "component": f"c{i}", "part": part,
         "choices": 2, "gold_nats": 12.0, "gold_bytes": 10 + i, "margin_nats": margin + 0.01 * block, "margin_bpb": margin, "correct": margin > 0,
         "correct_per_byte": margin > 0}
        for task, part in (("pairs_en", "agreement"), ("pairs_en", "islands"), ("cloze_web", "cloze_web")) for i in range(3)
    ]  # fmt: skip
    records.write_table(
        folder / "task_item_scores.parquet", records.from_rows(items, "task_item_scores"), "task_item_scores"
    )
    if folder.name == "full-0":
        labels = {"design_id": DESIGN, "run_id": folder.name, "target": "web", "sampling": "greedy"}
        sample = {
            **labels,
            "doc_id": "d1",
            "prompt": "It was <b>",
            "reference": "dark",
            "continuation": "not dark & cold",
        }
        scores = {**labels, "samples": 1, "units": "words", "bleu": 12.5, "rouge1": 0.5, "rouge2": 0.25, "rougeL": 0.5,
                  "signature": "s", "direction": "higher", "decision_grade": False, "reason": "for people to look at"}  # fmt: skip
        tuned = [
            {"design_id": DESIGN, "run_id": folder.name, "task": "slice", "start": "run", "seed": seed, "class": name, "train_passages": 40,
             "passages": 10, "accuracy": None if name else 0.5 + 0.25 * seed, "precision": 0.5, "recall": 0.5, "f1": 0.5,
             "chance": None if name else 0.25, "direction": "higher", "decision_grade": False, "reason": "display"}
            for seed in range(2) for name in (None, "web", "wiki")
        ]  # fmt: skip
        for name, rows in (("samples", [sample]), ("sample_scores", [scores]), ("finetune_scores", tuned)):
            records.write_table(folder / f"{name}.parquet", records.from_rows(rows, name), name)


def _write_metrics(study: Path) -> None:
    """Write grades: one metric that may rank mixtures, one that may not, one without a ratio."""
    common = {"population": "items", "unit": "bits per byte", "direction": "higher", "chance": None, "value": 0.2, "signal": 0.3,
              "snr_of_noise": 1.4, "cells": 5, "n_blocks": BLOCKS, "items": 6, "components": 3}  # fmt: skip
    _write(study, "metrics", [
        {**common, "metric": "total_margin", "target": "pairs_en", "noise": 0.05, "snr": 6.0, "decision_grade": True, "reason": "moves with every nat"},
        {**common, "metric": "margin", "target": "cloze_web", "noise": 0.2, "snr": 1.5, "decision_grade": False, "reason": "SNR 1.5 < 5"},
        {**common, "metric": "acc", "target": "pairs_en", "noise": None, "snr": None, "decision_grade": False, "reason": "a step function"},
    ])  # fmt: skip
    _write(study, "cell_metrics", [
        {"cell": cell, "metric": metric, "target": target, "population": "items", "value": 0.1, "lo": 0.05, "hi": 0.15, "n_blocks": BLOCKS}
        for cell in CELLS for metric, target in (("total_margin", "pairs_en"), ("margin", "cloze_web"), ("acc", "pairs_en"))
    ])  # fmt: skip


def _contrast(cell: str, target: str) -> dict:
    own = CELLS[cell][1]
    family = "controls" if cell in ("sham", "shuffle") else "own-slice" if own == target else "cross-slice"
    family = "decisions" if cell == "add-short" else family
    return {
        "contrast": f"{cell} on {target}", "family": family, "target": target, "metric": "bpb", "fill": "proportional",
        "population": "unfiltered" if family == "decisions" else "kept", "slice": own or cell, "delta": 0.01,
        "expected_sign": 1 if family == "own-slice" else 0, "meaning": "positive: the treatment raises bits per byte",
    }  # fmt: skip


def _write_effects(study: Path, bpb: dict) -> None:
    contrasts, coefficients, effects, controls = [], [], [], []
    for cell in list(CELLS)[1:]:
        for target in TARGETS:
            contrast = _contrast(cell, target)
            contrasts.append({**contrast, "method": "retrain", "noise_group": ""})
            named = {"contrast": contrast["contrast"], "method": "retrain"}
            coefficients += [
                {**named, "cell": one, "coefficient": factor} for one, factor in ((cell, 1.0), ("full", -1.0))
            ]
            population = contrast["population"]
            d = np.array([bpb[cell, b, target, population] - bpb["full", b, target, population] for b in range(BLOCKS)])
            effects.append({**contrast, **_judge(d, flip=contrast["family"] in ("decisions", "controls"))})
        if cell in ("sham", "shuffle"):
            d = np.array(
                [np.mean([bpb[cell, b, t, "kept"] - bpb["full", b, t, "kept"] for t in TARGETS]) for b in range(BLOCKS)]
            )
            found = _judge(d)
            passed = bool(found["lo"] <= 0 <= found["hi"]) or abs(found["estimate"]) < 0.05
            passed = bool(found["lo"] > 0) if cell == "shuffle" else passed
            detail = f"{found['estimate']:+.4f} bpb found; {'above' if cell == 'shuffle' else 'about'} 0 expected"
            controls.append(
                {
                    "control": cell,
                    "passed": passed,
                    **{k: found[k] for k in ("estimate", "lo", "hi")},
                    "detail": detail,
                }
            )
    _write(study, "contrasts", contrasts)
    _write(study, "contrast_cells", coefficients)
    _write(study, "effects", effects)
    _write(study, "controls", controls)
    sham = [bpb["sham", b, "web", "kept"] - bpb["full", b, "web", "kept"] for b in range(BLOCKS)]
    full = [bpb["full", b, "web", "kept"] for b in range(BLOCKS)]
    _write(
        study,
        "noise",
        [
            {
                "proxy_id": "p",
                "tokens": TOKENS,
                "lr": 6e-3,
                "metric": "bpb",
                "cell_type": "controls",
                "vary": "all",
                "target": "web",
                "population": "kept",
                "sd_lo": 0.005,
                "sd_hi": 0.02,
                "sd_between_seeds": float(np.std(full, ddof=1)),
                "sd_paired": float(np.std(sham, ddof=1)),
                "rho": 0.5,
                "n_blocks": BLOCKS,
            }
        ],
    )
    _write(study, "recommendations", [
        {"decision": "too-short", "contrast": f"add-short on {target}", "target": target, "population": "unfiltered", "weight": 1 / 3,
         "estimate": 0.03, "lo": 0.01, "hi": 0.05, "n_blocks": BLOCKS, "verdict": "helps", "answer": answer, "more_blocks": more,
         "more_tokens": more and 2 * TOKENS * more, "dropped_documents": 10, "dropped_tokens": 1000, "reason": "because",
         "sign_at_lower_rate": "same", "sign_at_more_tokens": sign}
        for target, answer, more, sign in (("web", "keep", None, "same"), ("wiki", "undecided", 4, "opposite"), ("code", "either", None, "undetermined"))
    ])  # fmt: skip
    _write(study, "power", [
        {"family": family, "sd": sd, "sd_source": source, "n_blocks": BLOCKS, "tests": 12, "df": 13.0, "mde": 1.68 * sd, "mde_worst_case": 2.9 * sd}
        for family in ("own-slice", "cross-slice", "decisions") for source, sd in (("assumed", 0.02), ("measured", 0.011))
    ])  # fmt: skip


def _judge(differences: np.ndarray, *, flip: bool = False) -> dict:
    mean, se = float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
    half = float(scipy.stats.t.ppf(0.975, len(differences) - 1)) * se
    p = float(2 * scipy.stats.t.sf(abs(mean) / se, len(differences) - 1))
    verdict = "undetermined" if p > 0.05 else "helps" if (mean > 0) != flip else "hurts"
    return {
        "method": "retrain", "estimate": mean, "se": se, "df": 4.0, "lo": mean - half, "hi": mean + half, "p": p, "tost_p": 0.5,
        "n_blocks": len(differences), "dilution": None, "reason": None, "q": p, "tost_q": 0.5, "verdict": verdict,
        "interval_population": "this held-out text, new seeds",
    }  # fmt: skip
