"""The tables of a swarm's laws: what `mixtrace laws` writes and reports read, each column with unit and meaning."""

from __future__ import annotations

import pyarrow as pa

from pipelines.contracts.schemas import field, table

_STRING, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_DESIGN = field("design_id", _STRING, "the swarm's study")
_TARGET = field("target", _STRING, "held-out slice")
_SLICE = field("slice", _STRING, "slice of the training data")
_LAW = field("law", _STRING, "linear, log-linear, exponential, power or LightGBM")
_BPB = "bits per byte"

LAWS = table(
    "laws",
    "The laws that were fitted to a swarm, best first: how well each predicts runs that it has not seen.",
    [
        _DESIGN,
        _LAW,
        field("strength", _FLOAT, "strength of its penalty; null if it has none", nullable=True),
        field("spearman", _FLOAT, "rank correlation of out-of-fold predictions, mean over targets"),
        field("rmse_sd", _FLOAT, "error of out-of-fold predictions", "sd of the target"),
        field("chosen", _BOOL, "whether cross-validation chose it"),
        field("finds_optimum", _BOOL, "whether it is the best law with a gradient: the optimum and what_if are by it"),
        field("runs", _INT, "runs of the swarm that it was fitted to", "runs"),
    ],
)
LAW_TARGETS = table(
    "law_targets",
    "What a law can know of a target: how far mixtures move it, and how far seeds alone do.",
    [
        _DESIGN,
        _TARGET,
        field("importance", _FLOAT, "its weight in the utility; all sum to 1"),
        field("sd_swarm", _FLOAT, "sd over the mixtures of the swarm", _BPB),
        field("sd_seeds", _FLOAT, "sd of natural over seeds; null below 2 blocks", _BPB, nullable=True),
        field(
            "sd_in_block",
            _FLOAT,
            "sd of a run's noise inside a block: of sham minus natural, over the root of 2",
            _BPB,
            nullable=True,
        ),
        field(
            "ceiling",
            _FLOAT,
            "sqrt(1 - sd_in_block^2 / sd_swarm^2): the correlation that noise leaves possible",
            nullable=True,
        ),
        field("spearman", _FLOAT, "rank correlation of the chosen law's out-of-fold predictions"),
    ],
)
LAW_SLICES = table(
    "law_slices",
    "The range of every slice's weight: in nature, in the swarm, and what the limits allow.",
    [
        _DESIGN,
        _SLICE,
        field("slice_order", _INT, "place in the design, from 0"),
        field("natural_weight", _FLOAT, "weight in the natural mixture"),
        field("least", _FLOAT, "least weight in the swarm: below it a law extrapolates"),
        field("most", _FLOAT, "greatest weight in the swarm: above it a law extrapolates"),
        field("lower", _FLOAT, "least weight that the limits allow"),
        field("upper", _FLOAT, "greatest weight that caps and epochs allow"),
    ],
)
LAW_FITS = table(
    "law_fits",
    "The fitted law of every target, in the unit of the target; fit 0 is of all runs, the others leave a fold out. "
    "linear: offset + s; log-linear: exp(offset + s); exponential: floor + scale exp(s); power: floor + scale (offset + s)^-falloff; "
    "s = the sum over slices of slope times weight, for the power law of slope times weight^power.",
    [
        _DESIGN,
        _TARGET,
        field("fit", _INT, "0: all runs; from 1: without that fold"),
        _LAW,
        field("offset", _FLOAT, "see the table", nullable=True),
        field("floor", _FLOAT, "see the table", _BPB, nullable=True),
        field("scale", _FLOAT, "see the table", _BPB, nullable=True),
        field("power", _FLOAT, "see the table", nullable=True),
        field("falloff", _FLOAT, "see the table", nullable=True),
    ],
)
LAW_SLOPES = table(
    "law_slopes",
    "The slopes of a fitted law.",
    [
        _DESIGN,
        _TARGET,
        field("fit", _INT, "as in law_fits"),
        _SLICE,
        field("slope", _FLOAT, "see law_fits"),
    ],
)
LAW_PREDICTIONS = table(
    "law_predictions",
    "Every run of the swarm against what a law predicts that was fitted without the run's fold.",
    [
        _DESIGN,
        field("cell", _STRING, "mixture of the swarm"),
        _TARGET,
        field("fold", _INT, "fold of the run, from 1"),
        field("measured", _FLOAT, "what the run scored", _BPB),
        field("predicted", _FLOAT, "by the law fitted to the other folds, chosen anew there", _BPB),
    ],
)
LAW_MIXTURES = table(
    "law_mixtures",
    "The optimum beside natural, uniform and the published recipes: predicted by one law, and measured with fresh seeds.",
    [
        _DESIGN,
        field("mixture", _STRING, "natural, optimum, uniform, RegMix or MixMin"),
        field("gain", _FLOAT, "predicted utility loss of natural minus its own; positive: better", _BPB, nullable=True),
        field("lo", _FLOAT, "lower end of the 95 % bootstrap interval over runs, law and penalty held fixed", _BPB, nullable=True),
        field("hi", _FLOAT, "upper end", _BPB, nullable=True),
        field("p_better", _FLOAT, "share of bootstrap samples by which it is better than natural", nullable=True),
        field("over_limit", _FLOAT, "largest excess over a limit", nullable=True),
        field("gap", _FLOAT, "most that any mixture within the limits could gain on it, by the law", _BPB, nullable=True),
        field("n_blocks", _INT, "fresh-seed runs against natural", "blocks"),
        field("measured_gain", _FLOAT, "measured utility loss of natural minus its own", _BPB, nullable=True),
        field("measured_lo", _FLOAT, "lower end of the 95 % interval over new seeds", _BPB, nullable=True),
        field("measured_hi", _FLOAT, "upper end", _BPB, nullable=True),
        field("status", _STRING, "reference, confirmed, not confirmed: why, withheld: why, or no mixture: why"),
    ],
)  # fmt: skip
LAW_WEIGHTS = table(
    "law_weights",
    "Weights of the mixtures of law_mixtures; null if withheld until enough fresh-seed runs were made.",
    [
        _DESIGN,
        field("mixture", _STRING, "as in law_mixtures"),
        _SLICE,
        field("weight", _FLOAT, "share of the training tokens; null: withheld", nullable=True),
        field("lo", _FLOAT, "lower end of the optimum's 95 % bootstrap interval", nullable=True),
        field("hi", _FLOAT, "upper end", nullable=True),
    ],
)
LAW_CURVE = table(
    "law_curve",
    "Learning curve: how well laws that were chosen and fitted on n runs predict the other runs.",
    [
        _DESIGN,
        field("law", _STRING, "a law at its cross-validated strength, or chosen"),
        field("runs", _INT, "runs that it was chosen and fitted on", "runs"),
        field("tested", _INT, "runs that it was judged by", "runs"),
        field("draws", _INT, "random draws of the runs", "draws"),
        field("spearman", _FLOAT, "rank correlation on the other runs, mean over targets and draws"),
        field("rmse_sd", _FLOAT, "error on the other runs", "sd of the target"),
        field("difference", _FLOAT, "spearman minus that of LightGBM on the same runs"),
        field("lo", _FLOAT, "lower end of its 95 % paired bootstrap interval over tested runs"),
        field("hi", _FLOAT, "upper end"),
    ],
)
LAW_LEFT_OUT = table(
    "law_left_out",
    "What no law could use, and why: nothing vanishes.",
    [
        _DESIGN,
        field("what", _STRING, "run or target"),
        field("reason", _STRING, "why"),
    ],
)
LAW_TABLES = (LAWS, LAW_TARGETS, LAW_SLICES, LAW_FITS, LAW_SLOPES, LAW_PREDICTIONS, LAW_MIXTURES, LAW_WEIGHTS, LAW_CURVE,
              LAW_LEFT_OUT)  # fmt: skip
