"""Lay attributions out as rows of the tables `attributions`, `effects` and `lds`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.designs import Contrast, Design
from analysis.effects import Study
from analysis.influence.contrasts import TokenScores, from_attribution
from analysis.influence.documents import extremes
from analysis.influence.lds import linear_datamodelling_score, slope
from analysis.influence.study import Attribution
from analysis.influence.validate import lds_row, missing_row, validate
from analysis.ngram_contrasts import PREFIX
from analysis.verdicts import judge

MIN_CELLS = 10
"""Treatment cells below which correlation over cells says nothing."""


def slice_rows(found: Attribution, scores: TokenScores, full: str) -> list[dict]:
    """Return the influence of every slice of the full cell on every query."""
    rows = []
    tokens = found.tokens[full]
    for slice_ in dict.fromkeys(group.slice for group in found.groups):
        mine = np.array([group.slice == slice_ for group in found.groups]) & (tokens > 0)
        if not mine.any():
            continue
        for at, query in enumerate(scores.queries):
            values = (scores.per_token[:, mine, at] * tokens[mine]).sum(1)
            rows.append({"unit_kind": "slice", "unit": slice_, "slice": slice_, "tokens": round(tokens[mine].sum()),
                         **_amount(scores, query, values)})  # fmt: skip
    return rows


def document_rows(found: Attribution, scores: TokenScores, k: int) -> list[dict]:
    """Return the k most helpful and the k most harmful documents of every target (kept text), by what was drawn of them."""
    documents = found.documents.get(scores.method)
    if documents is None:
        return []
    home = {atom: group.slice for group in found.groups for atom in group.atoms}
    rows = []
    for at, query in enumerate(scores.queries):
        if query[1] != "kept":
            continue
        for place, document in extremes(documents.scores[:, at], k):
            rows.append({"unit_kind": "document", "unit": documents.doc_id[document], "place": place,
                         "slice": home[documents.atom[document]], "tokens": int(documents.tokens[document]),
                         **_amount(scores, query, documents.scores[[document], at])})  # fmt: skip
    return rows


def _amount(scores: TokenScores, query: tuple[str, str], values: np.ndarray) -> dict:
    n = len(values)
    mean = float(values.mean())
    return {
        "method": scores.method,
        "target": query[0],
        "population": query[1],
        "nats_per_token": mean,
        "se": float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else None,
        "bpb": mean / math.log(2) / scores.bytes_per_token[query],
        "n_blocks": n,
    }


def predicted_effects(
    found: Attribution, contrasts: Sequence[Contrast], notes: Mapping[str, str | None], design_id: str
) -> list[dict]:
    """Return rows of `effects`: what each method predicts for every contrast of the design.

    The contrasts of the n-gram (fill = none) are asked of the gradients, too: the same question to another model.
    """
    tokens = with_omitted(found, contrasts)
    asked = {
        (c.name, c.target, c.population, c.metric): c for c in sorted(contrasts, key=lambda c: c.method != "ngram")
    }
    plain = [_without_prefix(contrast) for contrast in asked.values()]
    rows = []
    for scores in found.scores:
        rows += from_attribution(scores, plain, tokens, notes.get(scores.method))
    return [
        {"design_id": design_id, **row, **_kept_interval(row, judged)}
        for row, judged in zip(rows, judge(rows), strict=True)
    ]


def _kept_interval(row: dict, judged: dict) -> dict:
    return {**judged, "interval_population": row["interval_population"]}


def _without_prefix(contrast: Contrast) -> Contrast:
    return replace(contrast, coef={cell.removeprefix(PREFIX): factor for cell, factor in contrast.coef.items()})


def with_omitted(found: Attribution, contrasts: Sequence[Contrast]) -> dict[str, np.ndarray]:
    """Add the cells that only the n-gram has: the full cell less one slice."""
    tokens = dict(found.tokens)
    full = next(iter(found.tokens))
    for contrast in contrasts:
        name = f"omit_{contrast.slice}"
        stays = np.array([group.slice != contrast.slice for group in found.groups])
        if contrast.method == "ngram" and name not in tokens and not stays.all():
            tokens[name] = found.tokens[full] * stays
    return tokens


def cell_lds(design: Design, found: Attribution, study: Study) -> list[dict]:
    """Score every method on the losses of all treatment cells (kept text): the cells are the subsets."""
    cells = [c.name for c in design.cells if c.role == "treatment" and c.transform in ("none", "omit") and c.lr is None]
    rows = []
    for scores in found.scores:
        targets = [query for query in scores.queries if query[1] == "kept"]
        blocks = range(design.blocks)
        measured = np.array(
            [[[study.values.get((c, b, "bpb", *query), math.nan) for query in targets] for c in cells] for b in blocks]
        ).reshape(len(blocks), len(cells), len(targets))
        whole = np.isfinite(measured).all((0, 2))
        if whole.sum() < MIN_CELLS:
            reason = f"only {int(whole.sum())} treatment cells finished in all blocks; {MIN_CELLS} are needed (a design of random halves)"
            rows.append(missing_row(scores.method, "cells", int(whole.sum()), reason))
            continue
        places = [scores.queries.index(query) for query in targets]
        per_token = scores.per_token.mean(0)[:, places]
        predicted = -np.stack([found.tokens[cell] for cell in np.array(cells)[whole]]) @ per_token
        score = linear_datamodelling_score(predicted, measured[:, whole])
        found_slope = slope(predicted, measured[:, whole].mean(0))
        rows.append({**lds_row(scores.method, "cells", score), "slope": found_slope})
    return rows


def contrast_lds(predicted: Sequence[dict], effects: Sequence[dict]) -> list[dict]:
    """Score every method on the retrained contrasts other than own-slice (whose size any guess gets right)."""
    measured = [row for row in effects if row["method"] == "retrain" and row["family"] in ("cross-slice", "decisions")]
    return validate(predicted, measured)
