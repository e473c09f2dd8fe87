"""The tables of a study: what analysis writes and reports read, each column with unit and meaning."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.evaluation.tables import EVALUATION_TABLES
from analysis.influence.tables import INFLUENCE_TABLES
from analysis.judgement_tables import JUDGEMENT_TABLES
from analysis.laws.tables import LAW_TABLES
from analysis.record_fields import BOOL as _BOOL
from analysis.record_fields import DESIGN as _DESIGN
from analysis.record_fields import FLOAT as _FLOAT
from analysis.record_fields import INT as _INT
from analysis.record_fields import METRIC as _METRIC
from analysis.record_fields import POPULATION as _POPULATION
from analysis.record_fields import RUN as _RUN
from analysis.record_fields import STRING as _STRING
from analysis.record_fields import TARGET as _TARGET
from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.schemas import field, table

SLICES = table(
    "slices",
    "Named subsets of the documents; a curation decision is a slice, too.",
    [
        _DESIGN,
        field("slice", _STRING, "name of the slice"),
        field("where_sql", _STRING, "predicate over the joined document view"),
        field("kind", _STRING, "source, predicate or decision"),
        field("description", _STRING, "what it is, in words"),
        field("documents", _INT, "documents in it", "documents"),
        field("tokens", _INT, "their tokens", "tokens"),
        field("bytes", _INT, "their text", "bytes"),
    ],
)
SLICE_ATOMS = table(
    "slice_atoms",
    "Which atoms a slice is made of: atoms are disjoint, slices may overlap.",
    [_DESIGN, field("slice", _STRING, "name of the slice"), field("atom", _STRING, "name of the atom")],
)
CELLS = table(
    "cells",
    "The mixtures of a design that are trained, once per block.",
    [
        _DESIGN,
        field("cell", _STRING, "name of the cell"),
        field("role", _STRING, "base, treatment, null or positive"),
        field("mixture_id", _STRING, "mixture that it draws from"),
        field("baseline", _STRING, "cell that it is compared with"),
        field(
            "transform",
            _STRING,
            "none, sham (slots redrawn), shuffle (their tokens shuffled), canary (made-up facts) or omit (slots left out)",
        ),
        field("share", _FLOAT, "share of the slots that the transform touches; 0 if it picks none by itself"),
        field("tokens", _INT, "training tokens of a run", "tokens"),
        field("lr", _FLOAT, "peak learning rate"),
        field("description", _STRING, "what was changed, in words"),
    ],
)
CONTRASTS = table(
    "contrasts",
    "What is compared, with its fill; the cells are in contrast_cells.",
    [
        _DESIGN,
        field("contrast", _STRING, "name of the contrast"),
        field("family", _STRING, "own-slice, cross-slice, decisions, controls, canary or downstream"),
        field("target", _STRING, "held-out slice"),
        _POPULATION,
        _METRIC,
        field("fill", _STRING, "proportional, named or none: what takes the place of what was removed"),
        field("slice", _STRING, "slice or decision that the verdict speaks of"),
        field("method", _STRING, "how the cells are scored: retrain, or ngram (exact, by subtraction of counts)"),
        field("delta", _FLOAT, "half width of what counts as negligible", "bits per byte"),
        field("expected_sign", _INT, "+1 or -1 where a sign is expected by construction, else 0"),
        field("meaning", _STRING, "what a positive estimate says"),
        field("noise_group", _STRING, "contrasts of a family lend each other variance within such a group only"),
    ],
)
CONTRAST_CELLS = table(
    "contrast_cells",
    "The cells of every contrast: its estimate is the sum of coefficient times score, within blocks.",
    [
        _DESIGN,
        field("contrast", _STRING, "name of the contrast"),
        field("method", _STRING, "how the cells are scored: retrain or ngram"),
        field("cell", _STRING, "cell"),
        field("coefficient", _FLOAT, "factor of its score; they sum to 0"),
    ],
)
MIXTURE_WEIGHTS = table(
    "mixture_weights",
    "Weights of the atoms in a mixture, planned and drawn.",
    [
        _DESIGN,
        field("mixture_id", _STRING, "mixture"),
        field("cell", _STRING, "cell that trains on it"),
        field("atom", _STRING, "atom"),
        field("slice", _STRING, "source-level slice that the atom belongs to"),
        field("weight", _FLOAT, "share of the slots"),
        field("pool_tokens", _INT, "tokens of the atom that may be drawn", "tokens"),
        field("planned_tokens", _INT, "tokens to be drawn", "tokens"),
        field("drawn_tokens", _INT, "tokens drawn in block 0", "tokens"),
        field("drawn_bytes", _INT, "text drawn in block 0", "bytes"),
        field("epochs", _FLOAT, "how often each token of the atom is seen", "epochs"),
    ],
)
RUNS = table(
    "runs",
    "Every training run, finished or diverged.",
    [
        _RUN,
        _DESIGN,
        field("cell", _STRING, "cell"),
        field("block", _INT, "block: seeds of weights, order and sample, the same for every cell"),
        field("seed", _INT, "seed of the weights"),
        field("model", _STRING, "ngram, feedforward, lstm, llama or bert (a pseudo-likelihood: never ranked)"),
        field("proxy_id", _STRING, "hash of the proxy's fields"),
        field("status", _STRING, "finished or diverged"),
        field("tokens", _INT, "tokens trained on", "tokens"),
        field("train_cpu_s", _FLOAT, "processor time of training", "s"),
        field("tokens_per_cpu_s", _FLOAT, "speed", "tokens per s"),
        field("device", _STRING, "cpu or cuda"),
        field("dtype", _STRING, "number type"),
        field("compiled", _BOOL, "whether torch.compile was used"),
        field("torch", _STRING, "version of torch"),
        field("train_nats_per_token", _FLOAT, "training loss over the last twentieth", "nats per token", nullable=True),
        field(
            "reason", _STRING, "why it diverged: step, loss, documents of the batch; null if finished", nullable=True
        ),
    ],
)
CURVES = table(
    "curves",
    "Training loss over the course of each run.",
    [
        _RUN,
        field("step", _INT, "optimiser steps done", "steps"),
        field("train_tokens", _INT, "tokens trained on so far", "tokens"),
        field("train_nats_per_token", _FLOAT, "mean loss since the point before", "nats per token"),
    ],
)
SCORES = table(
    "scores",
    "Losses on held-out text, as sums per component: ratios of sums give nats per token, bits per byte, perplexity.",
    [
        _RUN,
        _TARGET,
        _POPULATION,
        field("component", _STRING, "linked documents that are held out together"),
        field("nats", _FLOAT, "summed negative log-probability", "nats"),
        field("tokens", _INT, "tokens scored", "tokens"),
        field("bytes", _INT, "text scored", "bytes"),
        field("train_tokens", _INT, "training tokens at the time of the evaluation", "tokens"),
    ],
)
ITEM_SCORES = table(
    "item_scores",
    "Continuation choice, item by item: the true continuation against three of the same slice and length.",
    [
        _RUN,
        _TARGET,
        field("item_id", _STRING, "document and place of the question"),
        field("component", _STRING, "component of the document"),
        field("gold_nats", _FLOAT, "negative log-probability of the true continuation", "nats"),
        field("gold_bytes", _INT, "its length", "bytes"),
        field("margin_bpb", _FLOAT, "best other minus true continuation; positive is right", "bits per byte"),
        field("correct", _BOOL, "whether the true continuation was likeliest (for display)"),
    ],
)
TASK_ITEM_SCORES = table(
    "task_item_scores",
    "Questions written as text, item by item: minimal pairs, cloze, benchmark tasks; by runs whose design names tasks, and by `mixtrace model tasks`.",
    [
        field("design_id", _STRING, "study of the run; null outside of a study", nullable=True),
        field("model", _STRING, "run_id, or folder of the model"),
        field("task", _STRING, "pairs_en, pairs_zh, cloze_TARGET, or a packaged OLMES task"),
        field("item_id", _STRING, "item of the task"),
        field("component", _STRING, "items that share their words; intervals are taken over components"),
        field("part", _STRING, "phenomenon, or the task"),
        field("choices", _INT, "choices of the item; 1 is a cloze", "choices"),
        field("gold_nats", _FLOAT, "negative log-probability of the right choice", "nats"),
        field("gold_bytes", _INT, "its length, without the space before it", "bytes"),
        field("margin_nats", _FLOAT, "best other minus right choice; positive is right", "nats", nullable=True),
        field("margin_bpb", _FLOAT, "the same, each choice by its own bytes", "bits per byte", nullable=True),
        field(
            "correct",
            _BOOL,
            "whether the right choice was likeliest; of a cloze, written greedily (for display)",
            nullable=True,
        ),
        field("correct_per_byte", _BOOL, "whether it was likeliest per byte (for display)", nullable=True),
    ],
)
ESTIMATES = [
    _DESIGN,
    field("contrast", _STRING, "name of the contrast"),
    field("family", _STRING, "family within which tests are corrected"),
    field("slice", _STRING, "slice or decision that the verdict speaks of"),
    _TARGET,
    _POPULATION,
    _METRIC,
    field("method", _STRING, "how it was estimated: retrain, ngram, or law (predicted from a swarm)"),
    field("fill", _STRING, "what took the place of what was removed"),
    field(
        "estimate",
        _FLOAT,
        "mean over blocks of the sum of coefficient times score (treatment minus baseline)",
        "bits per byte",
        nullable=True,
    ),
    field("se", _FLOAT, "its standard error (variance moderated within the family)", "bits per byte", nullable=True),
    field("df", _FLOAT, "degrees of freedom of the moderated t", nullable=True),
    field("lo", _FLOAT, "lower end of the 95 % interval over new seeds", "bits per byte", nullable=True),
    field("hi", _FLOAT, "upper end of the 95 % interval over new seeds", "bits per byte", nullable=True),
    field("p", _FLOAT, "two-sided p of the moderated paired t", nullable=True),
    field("tost_p", _FLOAT, "p of 'not negligible' (two one-sided tests)", nullable=True),
    field("n_blocks", _INT, "blocks in which all cells finished", "blocks"),
    field("rho", _FLOAT, "correlation over blocks that pairing achieved between the two cells", nullable=True),
    field("components", _INT, "held-out components", "components", nullable=True),
    field("documents_se", _FLOAT, "standard error over new documents and seeds", "bits per byte", nullable=True),
    field(
        "documents_lo",
        _FLOAT,
        "lower end of the 95 % interval over new documents and seeds",
        "bits per byte",
        nullable=True,
    ),
    field(
        "documents_hi",
        _FLOAT,
        "upper end of the 95 % interval over new documents and seeds",
        "bits per byte",
        nullable=True,
    ),
    field(
        "worst_estimate",
        _FLOAT,
        "estimate with diverged runs at the worst score of any run; null if none diverged",
        "bits per byte",
        nullable=True,
    ),
    field("worst_lo", _FLOAT, "lower end of its 95 % interval over new seeds", "bits per byte", nullable=True),
    field("worst_hi", _FLOAT, "upper end of its 95 % interval over new seeds", "bits per byte", nullable=True),
    field("delta", _FLOAT, "half width of what counts as negligible", "bits per byte"),
    field(
        "dilution",
        _FLOAT,
        "what the changed share of the target's own data alone predicts",
        "bits per byte",
        nullable=True,
    ),
    field("expected_sign", _INT, "+1 or -1 where a sign is expected by construction, else 0"),
    field("meaning", _STRING, "what a positive estimate says"),
    field("reason", _STRING, "why there is no estimate, or what to know about it", nullable=True),
]
EFFECTS = table(
    "effects",
    "What each slice and decision does to each target, with interval, correction and verdict.",
    [
        *ESTIMATES,
        field(
            "q",
            _FLOAT,
            "p after correction within the family (Benjamini-Hochberg, or what `fdr` of the design says)",
            nullable=True,
        ),
        field("tost_q", _FLOAT, "tost_p after correction within the family", nullable=True),
        field(
            "verdict",
            _STRING,
            "helps, hurts, negligible, undetermined or withheld; of the slice, of the decision to drop, or of the control",
        ),
        field("interval_population", _STRING, "what the interval is about"),
    ],
)
LOOKS = table(
    "looks",
    "Every look at the results of a study after which blocks were added, and what it spent of alpha.",
    [
        _DESIGN,
        field("look", _INT, "number of the look, from 1"),
        field("at", _STRING, "when blocks were added, UTC"),
        field("blocks_before", _INT, "blocks that were looked at", "blocks"),
        field("blocks_after", _INT, "blocks from then on", "blocks"),
        field("max_blocks", _INT, "blocks that the design allows", "blocks"),
        field("spending", _STRING, "spending function: obrien_fleming or pocock"),
        field("level", _FLOAT, "two-sided level at which this look may reject"),
        field("alpha_spent", _FLOAT, "alpha that is spent with it, over all looks so far"),
        field("effects_seen", _BOOL, "whether effects had been estimated before blocks were added"),
    ],
)
_RUNG = [
    field("design_id", _STRING, "ladder: the study that is its top rung"),
    field("rung_design_id", _STRING, "study that is the rung"),
    field("rung", _STRING, "name of the rung: model, parameters (order of an n-gram), tokens"),
]
RUNGS = table(
    "rungs",
    "Studies of one design with other proxies or budgets, joined into a ladder by `mixtrace ladder`.",
    [
        *_RUNG,
        field("position", _INT, "place by cost, from 0, the cheapest"),
        field("is_top", _BOOL, "whether the others are compared with it"),
        field("model", _STRING, "kind of the proxy"),
        field("parameters", _INT, "parameters of the proxy; null for an n-gram", nullable=True),
        field("tokens", _INT, "training tokens per run", "tokens"),
        field("n_blocks", _INT, "blocks", "blocks"),
        field("cpu_s_per_run", _FLOAT, "mean processor time of training", "s"),
        field("flops_per_run", _FLOAT, "arithmetic of training by formula; null for an n-gram", "FLOP", nullable=True),
        field("contrasts", _INT, "cross-slice and decision contrasts that all rungs share"),
    ],
)
RUNG_AGREEMENT = table(
    "rung_agreement",
    "How often a rung puts two contrasts on a target in the order that the top rung determines.",
    [
        *_RUNG,
        field("target", _STRING, "held-out slice; 'all' for all of them"),
        _POPULATION,
        field("pairs", _INT, "pairs of contrasts whose order the top rung determines"),
        field("agree", _INT, "pairs that the rung determines in the same order"),
        field("disagree", _INT, "pairs that it determines in the other order"),
        field("undetermined", _INT, "pairs that it does not determine"),
        field("agreement", _FLOAT, "share that agrees; null without pairs", nullable=True),
        field("lo", _FLOAT, "lower end of its 95 % interval over cells and blocks", nullable=True),
        field("hi", _FLOAT, "upper end of its 95 % interval over cells and blocks", nullable=True),
        field(
            "redrawn",
            _FLOAT,
            "mean share over resamples; of the top rung against itself, the ceiling: what a second study would reach",
            nullable=True,
        ),
        field("claimed", _BOOL, "whether 90 % may be claimed: the lower end exceeds .9"),
        field("reason", _STRING, "why there is no share", nullable=True),
    ],
)
RUNG_ANSWERS = table(
    "rung_answers",
    "The cheapest rung that decides a question as the top rung does; selected, so to be confirmed with fresh seeds.",
    [
        field("design_id", _STRING, "ladder: the study that is its top rung"),
        field("contrast", _STRING, "the question"),
        field("family", _STRING, "cross-slice or decisions"),
        field("slice", _STRING, "slice or decision that the verdict speaks of"),
        _TARGET,
        _POPULATION,
        field("verdict_at_top", _STRING, "verdict of the top rung"),
        field("estimate_at_top", _FLOAT, "its estimate", "bits per byte", nullable=True),
        field("cheapest_design_id", _STRING, "cheapest rung with the same verdict", nullable=True),
        field("cheapest", _STRING, "its name", nullable=True),
        field("reason", _STRING, "why there is none, or which rungs say the opposite", nullable=True),
    ],
)
TABLES: dict[str, pa.Schema] = {
    schema.metadata[b"table"].decode(): schema
    for schema in (SLICES, SLICE_ATOMS, CELLS, CONTRASTS, CONTRAST_CELLS, MIXTURE_WEIGHTS, RUNS, CURVES, SCORES, ITEM_SCORES,
                   TASK_ITEM_SCORES, LOOKS, EFFECTS, *JUDGEMENT_TABLES, RUNGS, RUNG_AGREEMENT, RUNG_ANSWERS,
                   *LAW_TABLES, *EVALUATION_TABLES, *INFLUENCE_TABLES)
}  # fmt: skip


def study_folder(workspace: Path, design_id: str) -> Path:
    """Return the folder of a study."""
    return workspace / "analysis" / design_id


def list_studies(workspace: Path) -> list[str]:
    """Return the design ids of a workspace, in the order in which they were planned."""
    folder = workspace / "analysis"
    found = [path.parent for path in folder.glob("*/design.json")] if folder.is_dir() else []
    return [
        path.name for path in sorted(found, key=lambda path: ((path / "design.json").stat().st_mtime_ns, path.name))
    ]


def list_runs(study: Path) -> list[Path]:
    """Return the folders of the runs that are done, sorted by name."""
    return sorted(path.parent for path in (study / "runs").glob("*/run.json"))


def write_table(path: Path, rows: pa.Table, name: str) -> None:
    """Write a table of this contract atomically.

    Raises:
        InputError: if columns or types are not those of the contract.
    """
    schema = TABLES[name]
    if rows.schema.names != schema.names:
        raise InputError(message(str(path), "wrong columns", rows.schema.names, str(schema.names)))
    with storage.atomic_write(str(path)) as file:
        pq.write_table(rows.cast(schema), file, compression="zstd")


def read_table(path: Path, name: str) -> pa.Table:
    """Read a table of this contract.

    Raises:
        InputError: naming the file and the column that is missing.
    """
    schema = TABLES[name]
    if not path.is_file():
        raise InputError(message(str(path), "no such table", "nothing", f"a Parquet file of {name}"))
    rows = pq.read_table(path)
    missing = [column for column in schema.names if column not in rows.schema.names]
    if missing:
        hint = "Was it written by another version? `mixtrace effects` makes the tables of results again."
        raise InputError(message(str(path), "columns are missing", missing, f"the columns of {name}", hint))
    return rows.select(schema.names).cast(schema)


def from_rows(rows: list[dict], name: str) -> pa.Table:
    """Make a table of this contract from dictionaries; a missing nullable key becomes null."""
    return pa.Table.from_pylist(rows, schema=TABLES[name])
