"""Tables of a study about evaluation: what metrics are worth, and what runs write."""

from __future__ import annotations

from analysis.record_fields import BOOL, DESIGN, FLOAT, INT, METRIC, POPULATION, RUN, STRING, TARGET
from pipelines.contracts.schemas import field, table

SAMPLES = table(
    "samples",
    "Held-out documents that a run continued, for people to look at, by `mixtrace model generate --save`.",
    [
        DESIGN,
        RUN,
        TARGET,
        field("doc_id", STRING, "document whose beginning was given"),
        field("prompt", STRING, "its beginning"),
        field("reference", STRING, "how it goes on, as many tokens as were asked for"),
        field("continuation", STRING, "what the run wrote"),
        field("sampling", STRING, "how tokens were chosen"),
    ],
)

SAMPLE_SCORES = table(
    "sample_scores",
    "How much of the references the continuations of a run hold; never in a verdict.",
    [
        DESIGN,
        RUN,
        TARGET,
        field("samples", INT, "documents that were continued", "documents"),
        field("units", STRING, "what is compared: words, or characters where no spaces are written"),
        field("bleu", FLOAT, "corpus BLEU by sacrebleu, 0 to 100"),
        field("rouge1", FLOAT, "ROUGE-1 by rouge-score, mean F"),
        field("rouge2", FLOAT, "ROUGE-2, mean F"),
        field("rougeL", FLOAT, "ROUGE-L, mean F"),
        field("sampling", STRING, "how tokens were chosen"),
        field("signature", STRING, "how BLEU was computed, in sacrebleu's words"),
        field("direction", STRING, "which way is better"),
        field("decision_grade", BOOL, "whether it may enter a verdict: never"),
        field("reason", STRING, "why not"),
    ],
)

METRICS = table(
    "metrics",
    "What each metric is worth in a study: direction, chance, signal-to-noise ratio over blocks, and whether it may rank mixtures.",
    [
        DESIGN,
        METRIC,
        TARGET,
        POPULATION,
        field("unit", STRING, "unit of the value"),
        field("direction", STRING, "which way is better: higher or lower"),
        field("chance", FLOAT, "what a model that knows nothing scores", nullable=True),
        field("value", FLOAT, "mean over blocks of the baseline", nullable=True),
        field(
            "signal",
            FLOAT,
            "largest difference between two cells' means over blocks (controls left out)",
            nullable=True,
        ),
        field("noise", FLOAT, "sd over blocks within a cell, pooled", nullable=True),
        field("snr", FLOAT, "signal by noise", nullable=True),
        field(
            "snr_of_noise",
            FLOAT,
            "the ratio that about so many cells and blocks give when no cell differs",
            nullable=True,
        ),
        field("cells", INT, "cells compared", "cells"),
        field("n_blocks", INT, "blocks in which all of them finished", "blocks"),
        field("items", INT, "questions; null for held-out text", "items", nullable=True),
        field("components", INT, "components of the questions", "components", nullable=True),
        field("decision_grade", BOOL, "whether it may rank the mixtures of the study"),
        field("reason", STRING, "why, or why not"),
    ],
)

CELL_METRICS = table(
    "cell_metrics",
    "Every metric of every cell, averaged over blocks.",
    [
        DESIGN,
        field("cell", STRING, "cell"),
        METRIC,
        TARGET,
        POPULATION,
        field("value", FLOAT, "mean over blocks, in the unit of the metric"),
        field("lo", FLOAT, "lower end of its 95 % interval over seeds (Student's t)", nullable=True),
        field("hi", FLOAT, "upper end of its 95 % interval over seeds", nullable=True),
        field("n_blocks", INT, "blocks that finished", "blocks"),
    ],
)

FINETUNE_SCORES = table(
    "finetune_scores",
    "How well a run, fine-tuned on labelled documents, tells held-out ones apart; by `mixtrace model finetune --save`.",
    [
        DESIGN,
        RUN,
        field("task", STRING, "name of the labels"),
        field("start", STRING, "run (its weights), or untrained (weights drawn anew: what labels alone give)"),
        field("seed", INT, "of the head, the order, and untrained weights"),
        field(
            "class", STRING, "class; null for all, where precision, recall and f1 are means over classes", nullable=True
        ),
        field("train_passages", INT, "passages fine-tuned on", "passages"),
        field("passages", INT, "passages of held-out documents asked about", "passages"),
        field("accuracy", FLOAT, "share that is right", nullable=True),
        field("precision", FLOAT, "share of what was called the class that is of it"),
        field("recall", FLOAT, "share of the class that was called so"),
        field("f1", FLOAT, "harmonic mean of both"),
        field("chance", FLOAT, "share of the largest class", nullable=True),
        field("direction", STRING, "which way is better"),
        field("decision_grade", BOOL, "whether it may enter a verdict: never"),
        field("reason", STRING, "why not"),
    ],
)
EVALUATION_TABLES = (METRICS, CELL_METRICS, SAMPLES, SAMPLE_SCORES, FINETUNE_SCORES)
"""In the order of the reference page."""
