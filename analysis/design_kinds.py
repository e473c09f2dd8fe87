"""Sections of a design file that belong to one kind of design."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pipelines.contracts.errors import did_you_mean
from pipelines.contracts.yaml_model import StrictModel

SliceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(gt=0, lt=1)]


class Reweight(StrictModel):
    """Give slices another weight; the others shrink or grow in proportion (same tokens).

    Attributes:
        slices: slices that are reweighted, one at a time.
        factors: factors of the weight, e.g. twice and half.
    """

    slices: Annotated[tuple[SliceName, ...], Field(min_length=1)]
    factors: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (2.0, 0.5)


RuleName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Decisions = Annotated[dict[SliceName, Annotated[tuple[RuleName, ...], Field(min_length=1)]], Field(min_length=1)]
DEDUPLICATION = ("near_duplicate", "exact_duplicate", "url_duplicate")
"""Reasons that need component-sampled pools: a run reads a pair of copies with the square of its sampling rate."""


class DecisionSwaps(StrictModel):
    """What a curation decision keeps out comes back.

    Attributes:
        decisions: name of each decision, and the rules that it is made of. What comes back are the documents that
            fail these rules and no other.
        share: share of the kept tokens of each source and language that its own rejects replace.
        off: also a cell per decision without its rules, at the natural dose.
        min_pool_tokens: a source and language with fewer rejects is left as it is.
    """

    decisions: Decisions
    share: Share = 0.25
    off: bool = False
    min_pool_tokens: int = 20_000

    @field_validator("decisions")
    @classmethod
    def _no_deduplication(cls, decisions: Decisions) -> Decisions:
        return _without_deduplication(decisions)


class Thresholds(StrictModel):
    """Cells at several thresholds of one signal.

    Attributes:
        signal: column of the documents, e.g. lang_score or the score of a classifier; null passes.
        min: thresholds; documents with less are dropped.
        max: thresholds; documents with more are dropped.
        rules: the rules that the thresholds stand for: documents that fail these and no other may come back.
        jaccard: thresholds of near-duplicate removal instead of a signal, for one slice.
        slices: slices that the thresholds are applied to; all if none is named.
        min_step_share: least share of all slots that a step must change.
        min_duplicate_tokens: least duplicate tokens that a step of `jaccard` must add to a run.
    """

    signal: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    min: tuple[float, ...] = ()
    max: tuple[float, ...] = ()
    rules: tuple[RuleName, ...] = ()
    jaccard: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    slices: tuple[SliceName, ...] = ()
    min_step_share: Share = 0.005
    min_duplicate_tokens: int = 5_000

    @model_validator(mode="after")
    def _one_ladder(self) -> Thresholds:
        ladders = [one for one in (self.min, self.max, self.jaccard) if one]
        if len(ladders) != 1 or len(set(ladders[0])) < 2:
            raise ValueError("two or more thresholds in one of min, max and jaccard")
        if (self.signal is None) == (not self.jaccard):
            raise ValueError("a signal for min or max, and none for jaccard")
        if self.jaccard and len(self.slices) != 1:
            raise ValueError("the one slice whose near-duplicates come back, in `slices`")
        return self


class Duplication(StrictModel):
    """The same tokens from smaller and smaller pools.

    Attributes:
        slices: slices that are repeated, all at once.
        epochs: how often their text is read; the first is what the others are compared with.
        min_duplicate_tokens: least repeated tokens that a run must see.
    """

    slices: Annotated[tuple[SliceName, ...], Field(min_length=1)]
    epochs: Annotated[tuple[Annotated[float, Field(ge=1)], ...], Field(min_length=2)] = (1.0, 2.0, 4.0, 8.0)
    min_duplicate_tokens: int = 5_000

    @field_validator("epochs")
    @classmethod
    def _rising(cls, epochs: tuple[float, ...]) -> tuple[float, ...]:
        if list(epochs) != sorted(set(epochs)):
            raise ValueError("rising numbers")
        return epochs


class Factorial(StrictModel):
    """Curation decisions as two-level factors: on (as curated), or some of their rejects in the place of kept text.

    Attributes:
        factors: name of each decision, and the rules that it is made of.
        share: share of the kept tokens of each source and language that the rejects of one decision replace.
        min_pool_tokens: a source and language with fewer rejects of a decision is left as it is.
        generators: a factor -> the factors whose product sets its level; each halves the number of cells.
        interactions: pairs whose interaction is estimated.
        negligible: pairs whose interaction is taken to be 0, so that what it is aliased with can be estimated.
    """

    factors: Decisions
    share: Share = 0.1
    min_pool_tokens: int = 20_000
    generators: dict[SliceName, Annotated[tuple[SliceName, ...], Field(min_length=2)]] = Field(default_factory=dict)
    interactions: tuple[tuple[SliceName, SliceName], ...] = ()
    negligible: tuple[tuple[SliceName, SliceName], ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Factorial:
        _without_deduplication(self.factors)
        pairs = [name for pair in (*self.interactions, *self.negligible) for name in pair]
        sources = [name for made in self.generators.values() for name in made]
        for name in (*self.generators, *sources, *pairs):
            if name not in self.factors:
                raise ValueError(f"names of factors, not {name!r}. {did_you_mean(name, self.factors)}")
        if set(self.generators) & set(sources):
            raise ValueError("generators made of factors that are not generated")
        if len(self.factors) * self.share >= 1:
            raise ValueError("a share that leaves kept text when all decisions are off")
        return self


class Halves(StrictModel):
    """Random halves of the data, each with its complement; nothing takes the place of the other half.

    Attributes:
        groups: groups per source, by hash of the component (documents that are held out together stay together).
        pairs: halves that are drawn; each brings its complement.
    """

    groups: Annotated[int, Field(ge=1, le=64)] = 4
    pairs: Annotated[int, Field(ge=2)] = 12


def _without_deduplication(decisions: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    named = sorted({rule for rules in decisions.values() for rule in rules} & set(DEDUPLICATION))
    if named:
        raise ValueError(
            f"rules on single documents, not {named[0]}: a run that reads a sample meets no pair of copies. "
            "Use `near_duplicates`, `thresholds: {jaccard: ...}` or `duplication`"
        )
    return decisions
