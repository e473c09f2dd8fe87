"""The tables of attribution: part of `analysis.records`, which reads and writes them."""

from __future__ import annotations

from analysis.record_fields import BOOL as _BOOL
from analysis.record_fields import DESIGN as _DESIGN
from analysis.record_fields import FLOAT as _FLOAT
from analysis.record_fields import INT as _INT
from analysis.record_fields import POPULATION as _POPULATION
from analysis.record_fields import STRING as _STRING
from analysis.record_fields import TARGET as _TARGET
from pipelines.contracts.schemas import field, table

_ATTRIBUTOR = field("method", _STRING, "ekfac, tracin (gradients of the proxy) or ngram (exact, of a 3-gram)")
ATTRIBUTIONS = table(
    "attributions",
    "What removing a unit of training text is predicted to do to a target, with nothing in its place, by gradients.",
    [
        _DESIGN,
        _ATTRIBUTOR,
        field(
            "unit_kind", _STRING, "slice: what the full cell drew of it; document: what was drawn of it in one block"
        ),
        field("unit", _STRING, "name of the slice, or id of the document (32 hex digits)"),
        field("slice", _STRING, "slice that the unit belongs to"),
        _TARGET,
        _POPULATION,
        field(
            "nats_per_token",
            _FLOAT,
            "rise of the target's loss if the unit is removed; positive: the unit helps",
            "nats per token",
        ),
        field("se", _FLOAT, "standard error over blocks, not the error of the method", "nats per token", nullable=True),
        field("bpb", _FLOAT, "the same in bits per byte of the target", "bits per byte"),
        field("tokens", _INT, "training tokens of the unit", "tokens"),
        field("n_blocks", _INT, "blocks whose models were scored", "blocks"),
        field("place", _INT, "1, 2, ...: most helpful documents; -1, -2, ...: most harmful", nullable=True),
    ],
)
LDS = table(
    "lds",
    "How far a method's predictions agree with retraining (linear datamodelling score): what may be believed of it.",
    [
        _DESIGN,
        _ATTRIBUTOR,
        field("level", _STRING, "cells: losses of all treatment cells; contrasts: effects of the design"),
        field("lds", _FLOAT, "Spearman correlation of predicted and measured", nullable=True),
        field("lo", _FLOAT, "lower end of its 95 % interval (cells: over cells and targets)", nullable=True),
        field("hi", _FLOAT, "upper end of its 95 % interval", nullable=True),
        field("ceiling", _FLOAT, "what noise of the retrains lets the truth reach", nullable=True),
        field(
            "slope",
            _FLOAT,
            "slope of measured on predicted: 1 if sizes are right, below 1 if predicted too large",
            nullable=True,
        ),
        field("sign_agreement", _FLOAT, "share of determined effects whose sign is right", nullable=True),
        field("coverage", _FLOAT, "share of predictions inside the measured 95 % interval", nullable=True),
        field("n_subsets", _INT, "cells or contrasts"),
        field("n_queries", _INT, "targets"),
        field("n_repeats", _INT, "blocks", "blocks"),
        field("usable", _BOOL, "whether the interval lies above 0"),
        field("reason", _STRING, "why it is not usable, or there is no score", nullable=True),
    ],
)
TOKEN_TRACES = table(
    "token_traces",
    "Which slice raised which tokens of a text: log-probability by full less ablated proxies, averaged over blocks.",
    [
        _DESIGN,
        field("doc_id", _STRING, "held-out document, or name of the text that was given"),
        _TARGET,
        field("position", _INT, "token of the text, from 0", "tokens"),
        field("token", _STRING, "its text; bytes that are no character are shown as �"),
        field("slice", _STRING, "slice that the ablated proxies did without"),
        field("delta_nats", _FLOAT, "log p(full) - log p(without the slice); positive: the slice raised it", "nats"),
        field("se", _FLOAT, "standard error over blocks", "nats", nullable=True),
        field("n_blocks", _INT, "blocks in which both proxies finished", "blocks"),
    ],
)
INFLUENCE_TABLES = (ATTRIBUTIONS, LDS, TOKEN_TRACES)
