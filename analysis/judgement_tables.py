"""Tables of what a study is judged by, and what follows: noise, power, controls, recommendations."""

from __future__ import annotations

import pyarrow as pa

from pipelines.contracts.schemas import field, table

_STRING, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_DESIGN = field("design_id", _STRING, "hash of the whole design, written before any result")

NOISE = table(
    "noise",
    "How much a score moves when nothing but seeds changes; the registry: valid for its own key only.",
    [
        _DESIGN,
        field("proxy_id", _STRING, "key: hash of the proxy"),
        field("tokens", _INT, "key: training tokens of a run", "tokens"),
        field("lr", _FLOAT, "key: peak learning rate"),
        field("metric", _STRING, "bpb: bits per UTF-8 byte, lower is better"),
        field("cell_type", _STRING, "key: base (the full mixture by itself), or the family of the differences"),
        field(
            "vary",
            _STRING,
            "seeds that change from block to block: all, or only init, data or order (these do not add up)",
        ),
        field("target", _STRING, "held-out slice, or utility"),
        field("population", _STRING, "held-out documents: kept by the rules, unfiltered, or canary"),
        field(
            "sd_between_seeds",
            _FLOAT,
            "sd over blocks of the cell, or of the baselines of the differences",
            "bits per byte",
        ),
        field(
            "sd_paired", _FLOAT, "sd of paired differences; null for a cell by itself", "bits per byte", nullable=True
        ),
        field(
            "sd_lo",
            _FLOAT,
            "lower end of the 95 % interval of the sd (of differences where there are any)",
            "bits per byte",
        ),
        field("sd_hi", _FLOAT, "upper end of that interval", "bits per byte"),
        field("rho", _FLOAT, "correlation over blocks that pairing achieved", nullable=True),
        field("n_blocks", _INT, "blocks", "blocks"),
    ],
)
POWER = table(
    "power",
    "Minimum detectable effect at 80 % power.",
    [
        _DESIGN,
        field("family", _STRING, "family"),
        field("sd", _FLOAT, "sd of paired differences that was used", "bits per byte"),
        field(
            "sd_source", _STRING, "assumed (prior), registry (other studies of the same key), or measured in this study"
        ),
        field("n_blocks", _INT, "blocks", "blocks"),
        field("tests", _INT, "tests in the family", "tests"),
        field("df", _FLOAT, "degrees of freedom of the variance, moderated over the family"),
        field("mde", _FLOAT, "at alpha .05", "bits per byte"),
        field("mde_worst_case", _FLOAT, "at the level that the family's first discovery must reach", "bits per byte"),
    ],
)
CONTROLS = table(
    "controls",
    "The study's own checks: if sham, shuffle, canary or adequacy fails, verdicts are withheld.",
    [
        _DESIGN,
        field("control", _STRING, "sham, shuffle, canary or adequacy"),
        field("passed", _BOOL, "whether the check holds"),
        field("estimate", _FLOAT, "mean over targets of the control's effect", "bits per byte", nullable=True),
        field("lo", _FLOAT, "lower end of its 95 % interval", "bits per byte", nullable=True),
        field("hi", _FLOAT, "upper end of its 95 % interval", "bits per byte", nullable=True),
        field("detail", _STRING, "what was found and what was expected"),
    ],
)
RECOMMENDATIONS = table(
    "recommendations",
    "What to do about each curation decision, per target and for the utility over targets.",
    [
        _DESIGN,
        field("decision", _STRING, "slice of what the decision drops"),
        field("contrast", _STRING, "contrast that answers"),
        field("target", _STRING, "held-out slice, or utility: the weighted mean over all"),
        field("population", _STRING, "held-out documents: kept by the rules, unfiltered, or canary"),
        field("weight", _FLOAT, "weight of the target in the utility"),
        field("estimate", _FLOAT, "effect of training on what is dropped", "bits per byte", nullable=True),
        field("lo", _FLOAT, "lower end of its 95 % interval over new seeds", "bits per byte", nullable=True),
        field("hi", _FLOAT, "upper end of its 95 % interval over new seeds", "bits per byte", nullable=True),
        field("n_blocks", _INT, "blocks in which all cells finished", "blocks"),
        field("verdict", _STRING, "verdict on the decision to drop"),
        field("answer", _STRING, "keep, relax, either (the effect is negligible), undecided or withheld"),
        field(
            "more_blocks",
            _INT,
            "blocks that would decide it with 80 % power if the effect is as estimated; null if 100 in all do not",
            "blocks",
            nullable=True,
        ),
        field("more_tokens", _INT, "what these cost in training", "tokens", nullable=True),
        field("dropped_documents", _INT, "what the decision costs", "documents", nullable=True),
        field("dropped_tokens", _INT, "what the decision costs", "tokens", nullable=True),
        field(
            "sign_at_lower_rate",
            _STRING,
            "same, opposite or undetermined at a third of the learning rate; null if not run",
            nullable=True,
        ),
        field(
            "sign_at_more_tokens",
            _STRING,
            "same, opposite or undetermined on twice the tokens; null if not run",
            nullable=True,
        ),
        field("reason", _STRING, "why"),
    ],
)
JUDGEMENT_TABLES = (NOISE, POWER, CONTROLS, RECOMMENDATIONS)
