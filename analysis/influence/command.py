"""The command `influence`: score a study's models, predict its contrasts, trace texts, say what may be believed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from analysis import records
from analysis.commands import contrasts_of
from analysis.data import HeldOut
from analysis.design_data import design_of
from analysis.design_file import DesignSpec
from analysis.effects import load_study
from analysis.effects_command import find_study
from analysis.evaluation.choice import vocabulary_bytes
from analysis.evaluation.perplexity import thin
from analysis.influence import rows
from analysis.influence.study import METHODS, Settings, StudyScorer
from analysis.influence.tracing import Text, most_traced, spell, trace, trace_rows
from analysis.models.neural import TorchLogProb, load
from analysis.study_runs import StudyRuns, open_runs
from pipelines.contracts.errors import ConfigError, InputError, did_you_mean, message

TRACED_TOKENS = 256
"""Of every traced text."""
CANDIDATE_TOKENS = 2_000
"""Held-out tokens per target among whose documents the one to trace is chosen."""


@dataclass(frozen=True)
class Options:
    """Options of the command.

    Attributes:
        methods: of `METHODS`.
        unit_rows: training rows per unit, at most.
        document_rows: training rows whose documents are scored.
        top: documents per target and end.
        texts: files to trace besides the held-out documents.
        as_json: print JSON.
    """

    methods: tuple[str, ...] = METHODS
    unit_rows: int = 128
    document_rows: int = 1024
    top: int = 10
    texts: tuple[Path, ...] = ()
    as_json: bool = False


def run_influence(workspace: Path, design_id: str | None, options: Options) -> None:
    """Score a study and write its tables `attributions`, `lds`, `token_traces`; add its predictions to `effects`.

    Raises:
        ConfigError: for an unknown method.
        InputError: if there is no study, nothing of it is trained, or its effects were not estimated.
    """
    for method in options.methods:
        if method not in METHODS:
            raise ConfigError(message("influence", "unknown method", method, did_you_mean(method, METHODS)))
    folder = find_study(workspace, design_id)
    if not (folder / "effects.parquet").is_file():
        hint = "Run `mixtrace effects` first."
        raise InputError(message(str(folder), "effects are not estimated", "no effects.parquet", "the table", hint))
    spec = DesignSpec.model_validate(json.loads((folder / "design.json").read_text("utf-8"))["spec"])
    runs = open_runs(workspace, *design_of(workspace, spec))
    if runs.study != folder:
        raise InputError(message(str(folder), "design of another corpus or version", runs.design.design_id, folder.name,
                                 "Plan and train the design again."))  # fmt: skip
    torch.set_num_threads(1)  # as in `train`: small matrices, and the same sums in the same order
    tables = tables_of(runs, options)
    for name, found in tables.items():
        records.write_table(folder / f"{name}.parquet", records.from_rows(found, name), name)
    shown = {name: tables[name] for name in ("attributions", "lds", "token_traces")}
    print(json.dumps(shown, indent=1) if options.as_json else format_influence(tables, spec))


def tables_of(runs: StudyRuns, options: Options) -> dict[str, list[dict]]:
    """Make the rows of all tables; effects are the old ones with the predictions in the place of older predictions."""
    scorer = StudyScorer(runs, Settings(options.methods, options.unit_rows, options.document_rows))
    found = scorer.attribute()
    design, design_id = runs.design, runs.design.design_id
    study = load_study(runs.study)
    effects = records.read_table(runs.study / "effects.parquet", "effects").to_pylist()
    contrasts = contrasts_of(runs.study)
    plain = rows.predicted_effects(found, contrasts, {}, design_id)
    lds = [*rows.cell_lds(design, found, study), *rows.contrast_lds(plain, effects)]
    predicted = rows.predicted_effects(found, contrasts, method_notes(lds), design_id)
    attributions = []
    for scores in found.scores:
        attributions += rows.slice_rows(found, scores, scorer.full.name)
        attributions += rows.document_rows(found, scores, options.top)
    label = {"design_id": design_id}
    return {
        "attributions": [{**label, **row} for row in attributions],
        "lds": [{**label, **row} for row in lds],
        "token_traces": [{**label, **row} for row in traces(runs, scorer, options.texts)],
        "effects": [*(row for row in effects if row["method"] not in METHODS), *predicted],
    }


def method_notes(lds: Sequence[dict]) -> dict[str, str | None]:
    """Say of each method what retraining made of it here."""
    notes: dict[str, str | None] = {}
    for row in lds:
        if row.get("lds") is not None:
            verdict = "" if row["usable"] else ", not usable"
            size = "" if row.get("slope") is None else f", sizes to be taken times {row['slope']:.2f}"
            part = f"{row['level']} {row['lds']:.2f} [{row['lo']:.2f}, {row['hi']:.2f}]{verdict}{size}"
            known = notes.get(row["method"])
            notes[row["method"]] = f"{known}; {part}" if known else f"predicted, not retrained; agreement: {part}"
    return {row["method"]: notes.get(row["method"], "predicted, not retrained; agreement unknown") for row in lds}


def traces(runs: StudyRuns, scorer: StudyScorer, files: Sequence[Path]) -> list[dict]:
    """Trace one held-out document per target, and the given files."""
    ablated = ablated_cells(scorer)
    blocks = [b for b in scorer.blocks if all(_trained(scorer, cell, b) for cell in ablated.values())]
    if not ablated or not blocks:
        print("influence: no trace: no slice was left out in a block that finished", file=sys.stderr)
        return []
    models = {cell: [_model(scorer, cell, b) for b in blocks] for cell in (scorer.full.name, *ablated.values())}
    full, without = models[scorer.full.name], {slice_: models[cell] for slice_, cell in ablated.items()}
    vocabulary = vocabulary_bytes(runs.workspace / "tokenizer/tokenizer.json")
    proxy, made = runs.proxy, []
    kept = [heldout for heldout in runs.heldouts if heldout.population == "kept"]
    for candidates in [*(candidate_texts(heldout) for heldout in kept), *([read_text(runs, path)] for path in files)]:
        deltas = [trace(full, without, text, proxy.context, proxy.eos_id) for text in candidates]
        best = most_traced(deltas)
        made += trace_rows(candidates[best], deltas[best], spell(candidates[best].ids, vocabulary))
    return made


def ablated_cells(scorer: StudyScorer) -> dict[str, str]:
    """Return slice to the cell that did without it and nothing else; one with nothing in its place is preferred."""
    found: dict[str, str] = {}
    slices = [group.slice for group in scorer.groups]
    base = scorer.tokens[scorer.full.name]
    for cell in sorted(scorer.runs.design.cells, key=lambda one: one.transform != "omit"):
        if cell.role != "treatment" or cell.lr is not None:
            continue
        lost = {
            name for name, before, now in zip(slices, base, scorer.tokens[cell.name], strict=True) if before > 0 == now
        }
        stays = {name for name, now in zip(slices, scorer.tokens[cell.name], strict=True) if now > 0}
        if len(lost) == 1 and not lost & stays:
            found.setdefault(lost.pop(), cell.name)
    return {name: found[name] for name in scorer.runs.design.targets if name in found}


def _trained(scorer: StudyScorer, cell: str, block: int) -> bool:
    folder = scorer.folder(cell, block)
    return (folder / "run.json").exists() and (folder / "model.safetensors").exists()


def _model(scorer: StudyScorer, cell: str, block: int) -> TorchLogProb:
    return TorchLogProb(load(scorer.folder(cell, block)))


def candidate_texts(heldout: HeldOut) -> list[Text]:
    """Cut the first documents of a held-out set to what is traced."""
    few = thin(heldout, CANDIDATE_TOKENS)
    pieces = [few.ids[a:b][:TRACED_TOKENS] for a, b in zip(few.offsets[:-1], few.offsets[1:], strict=True)]
    return [
        Text(str(name), heldout.target, np.asarray(ids, np.int64)) for name, ids in zip(few.doc_id, pieces, strict=True)
    ]


def read_text(runs: StudyRuns, path: Path) -> Text:
    """Read and encode a text.

    Raises:
        InputError: if it is not there, not UTF-8, or empty.
    """
    from tokenizers import Tokenizer

    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(message(str(path), "no text to trace", error, "a UTF-8 file")) from error
    ids = Tokenizer.from_file(str(runs.workspace / "tokenizer/tokenizer.json")).encode(content).ids[:TRACED_TOKENS]
    if not ids:
        raise InputError(message(str(path), "no text to trace", "no token", "at least one"))
    return Text(path.name, "", np.array(ids, np.int64))


def format_influence(tables: dict[str, list[dict]], spec: DesignSpec) -> str:
    """Lay attributions out for one screen: agreement first, then slices by targets."""
    lines = ["agreement with retraining (Spearman; not usable where the interval includes 0):"]
    lines += [f"  {row['method']:<8} {row['level']:<10} {_agreement(row)}" for row in tables["lds"]]
    slices = [row for row in tables["attributions"] if row["unit_kind"] == "slice" and row["population"] == "kept"]
    for method in dict.fromkeys(row["method"] for row in slices):
        lines.append(
            f"{method}: bits per byte that each target (column) loses without the slice (row), nothing in its place; at {spec.tokens:,} tokens"
        )
        targets = list(spec.slices)
        lines.append(" " * 14 + "".join(f"{target:>12}" for target in targets))
        values = {(row["unit"], row["target"]): row["bpb"] for row in slices if row["method"] == method}
        units = dict.fromkeys(unit for unit, _ in values)
        lines += [f"{unit:<14}" + "".join(f"{values[unit, target]:>+12.4f}" for target in targets) for unit in units]
    documents = sum(row["unit_kind"] == "document" for row in tables["attributions"])
    texts = len({row["doc_id"] for row in tables["token_traces"]})
    lines.append(f"{documents} documents and {texts} traced texts: `mixtrace report build`, page Attribution")
    return "\n".join(lines)


def _agreement(row: dict) -> str:
    if row.get("lds") is None:
        return str(row["reason"])
    ceiling = "unknown" if row["ceiling"] is None else f"{row['ceiling']:.2f}"
    usable = "usable" if row["usable"] else "NOT USABLE"
    return f"{row['lds']:+.2f} [{row['lo']:+.2f}, {row['hi']:+.2f}], ceiling {ceiling}, n {row['n_subsets']}: {usable}"
