"""Design files (YAML): which slices are ablated, how, and with which proxy.

`extends: other.yaml` takes over the top-level keys of another design that a file does not have itself: the same study
with another proxy, or another question about the same slices.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from analysis.design_kinds import DecisionSwaps, Duplication, Factorial, Halves, Reweight, SliceName, Thresholds
from analysis.evaluation.tasks import TaskName
from pipelines.contracts.errors import did_you_mean
from pipelines.contracts.yaml_model import StrictModel, load_yaml_model


class SliceSpec(StrictModel):
    """A slice: an SQL predicate over the documents."""

    where: str
    description: str = ""


class ProxySpec(StrictModel):
    """The proxy model; the vocabulary comes from the workspace. Models of a pseudo-likelihood judge nothing.

    Attributes:
        order: order of an n-gram, which is counted anew for every cell (not subtracted); 3 if not named.
        adequacy: what becomes of the verdicts of a proxy that does not beat the 3-gram of the same tokens.
    """

    model: Literal["llama", "lstm", "feedforward", "ngram"] = "llama"
    order: Annotated[int, Field(ge=1)] | None = None
    d_model: int = 64
    layers: int = 2
    heads: int = 2
    window: int = 8
    tied: bool = True
    dropout: float = 0.0
    context: int = 64
    batch: int = 8
    lr: float = 6e-3
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    accumulate: Annotated[int, Field(ge=1)] = 1
    adequacy: Literal["withhold", "show"] = "withhold"


class NearDuplicateSwap(StrictModel):
    """Replace kept documents by their own near-duplicates, in a pool of about one epoch."""

    slice: SliceName
    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    min_duplicate_tokens: int = 5_000


class RejectSwap(StrictModel):
    """Replace a share of each slice's and language's kept tokens by documents that the rules rejected."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    min_pool_tokens: int = 20_000


class LooksSpec(StrictModel):
    """More blocks after a look at the results, at a price that is fixed before the first one.

    Attributes:
        max_blocks: blocks that the study may have at most.
        spending: how alpha is spent over looks: little at first (obrien_fleming), or evenly (pocock).
    """

    max_blocks: Annotated[int, Field(ge=2)]
    spending: Literal["obrien_fleming", "pocock"] = "obrien_fleming"


class SwarmSpec(StrictModel):
    """Mixtures that are drawn at random around the natural one, for laws to learn from.

    Attributes:
        runs: mixtures that are drawn; one run each.
        temperature: natural weights are raised to this power first (below 1: flatter).
        strength: ends of the Dirichlet strength, drawn log-uniform: low ends give mixtures far from natural.
        caps: most weight of a slice, in the swarm and in the optimum.
        floors: least weight of a slice, in the swarm and in the optimum.
        single_slices: also train on each slice alone, which the baseline MixMin needs.
    """

    runs: Annotated[int, Field(ge=20)] = 48
    temperature: Annotated[float, Field(ge=0)] = 0.5
    strength: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 20.0)
    caps: dict[SliceName, float] = Field(default_factory=dict)
    floors: dict[SliceName, float] = Field(default_factory=dict)
    single_slices: bool = False


class ConfirmationSpec(StrictModel):
    """Mixtures that a law has selected, to be run against natural with fresh seeds.

    Attributes:
        of: the swarm's design_id.
        mixtures: by name, the weights of the slices.
    """

    of: str
    mixtures: dict[str, dict[SliceName, float]]


class DesignSpec(StrictModel):
    """A design.

    Attributes:
        name: name.
        design: which design function builds the cells.
        slices: source-level slices; they must not overlap; each is a target.
        weights: share of each slice in the full mixture; equal if not named.
        leave_out: slices that are left out in turn.
        fill: what takes their place (`leave_one_out`).
        swap: for fill = named, which slice takes the place of which.
        single: slices that are trained alone (`single_slice`).
        reweight: factors of weights (`reweight`).
        decisions: decisions whose rejects come back (`decisions`).
        thresholds: thresholds of a signal or of near-duplicates (`thresholds`).
        duplication: epochs (`duplication`).
        factorial: decisions as factors (`factorial`).
        halves: random halves of all data (`halves`).
        canary: share of the slots that hold the canary's made-up facts; 0 for a study without that control.
        fdr: how p values are corrected within a family: bh (the default), or by for any dependence and unequal noise.
        utility: weight of each target in the utility of a decision or mixture; equal if not named, 0 for a target that is left out.
        robustness: train the decisions again at a third of the rate, and on twice the tokens.
        seed_components: train the full mixture with only weights, documents or order changing from block to block.
        blocks: seed tuples; every cell is run once in each.
        looks: whether blocks may be added after a look at the results (`design extend`); the number is fixed without.
        tokens: training tokens per run.
        eval_tokens: held-out tokens per target and population.
        choice_items: continuation questions per target.
        tasks: questions that every run is asked at its end, by its own tokenizer.
        task_items: items of each task, 40 if not named; of pairs, per phenomenon; of cloze, per target.
        max_epochs: no atom may be read more often.
        delta_bpb: half width of what counts as negligible.
        prior_sd_bpb: assumed sd of a paired difference, until it is measured.
        max_runs: budget; a design that needs more is refused.
        seed: enters every seed.
        snapshots: states of the weights that runs of the full cell keep for `mixtrace influence`; none if not named.
    """

    name: str
    design: Literal["demo", "leave_one_out", "reweight", "single_slice", "decisions", "thresholds", "duplication",
                    "factorial", "halves", "swarm", "confirmation"] = "demo"  # fmt: skip
    slices: dict[SliceName, SliceSpec]
    weights: dict[SliceName, float] = Field(default_factory=dict)
    leave_out: tuple[SliceName, ...] = ()
    fill: Annotated[tuple[Literal["proportional", "none", "named"], ...], Field(min_length=1)] = ("proportional",)
    swap: dict[SliceName, SliceName] = Field(default_factory=dict)
    single: tuple[SliceName, ...] = ()
    reweight: Reweight | None = None
    decisions: DecisionSwaps | None = None
    thresholds: Thresholds | None = None
    duplication: Duplication | None = None
    factorial: Factorial | None = None
    halves: Halves | None = None
    near_duplicates: NearDuplicateSwap | None = None
    rejects: RejectSwap | None = None
    swarm: SwarmSpec | None = None
    confirmation: ConfirmationSpec | None = None
    proxy: ProxySpec = ProxySpec()
    canary: Annotated[float, Field(ge=0, lt=0.5)] = 0.02
    fdr: Literal["bh", "by"] | None = None
    utility: dict[SliceName, Annotated[float, Field(ge=0)]] | None = None
    robustness: bool | None = None
    seed_components: bool | None = None
    blocks: Annotated[int, Field(ge=2)] = 5
    looks: LooksSpec | None = None
    tokens: Annotated[int, Field(ge=1024)] = 262_144
    eval_tokens: Annotated[int, Field(ge=256)] = 12_000
    choice_items: Annotated[int, Field(ge=0)] = 40
    tasks: tuple[TaskName, ...] | None = None
    task_items: Annotated[int, Field(ge=1)] | None = None
    max_epochs: float = 4.0
    delta_bpb: Annotated[float, Field(gt=0)] = 0.02
    prior_sd_bpb: Annotated[float, Field(gt=0)] = 0.02
    max_runs: int = 100
    seed: int = 0
    snapshots: Annotated[int, Field(ge=1, le=64)] | None = None

    @model_validator(mode="after")
    def _names_are_slices(self) -> DesignSpec:
        swapped = (self.near_duplicates.slice,) if self.near_duplicates else ()
        reweighted = self.reweight.slices if self.reweight else ()
        drawn = (*self.swarm.caps, *self.swarm.floors) if self.swarm else ()
        doses = (
            *(self.thresholds.slices if self.thresholds else ()),
            *(self.duplication.slices if self.duplication else ()),
        )
        swapped = (*swapped, *doses, *(self.utility or ()), *self.swap, *self.swap.values(), *reweighted, *drawn)
        for name in (*self.leave_out, *self.single, *self.weights, *swapped):
            if name not in self.slices:
                raise ValueError(f"names of slices, not {name!r}. {did_you_mean(name, self.slices)}")
        named = (
            *(self.decisions.decisions if self.decisions else ()),
            *(self.factorial.factors if self.factorial else ()),
        )
        if clash := sorted(set(named) & set(self.slices)):
            raise ValueError(f"decisions that are not called like slices ({clash[0]})")
        if self.looks and self.looks.max_blocks <= self.blocks:
            raise ValueError(f"max_blocks above the {self.blocks} blocks of the first look")
        if any(weight <= 0 for weight in self.weights.values()):
            raise ValueError("positive weights")
        if self.utility is not None and not any(self.utility.values()):
            raise ValueError("a utility with a target of positive weight")
        return self


def load_design(path: str) -> DesignSpec:
    """Read a design file; what it does not say is as in the file that it `extends`, if it does.

    Raises:
        ConfigError: with file, line and column of what is wrong.
    """
    return load_yaml_model(path, DesignSpec, base_key="extends")
