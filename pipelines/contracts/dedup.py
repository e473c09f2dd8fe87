"""The part of the recipe that says which documents repeat each other and which of them stays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.contracts.recipe_sources import Name
from pipelines.contracts.yaml_model import StrictModel


class Near(StrictModel):
    r"""Near-duplicate search: MinHash-LSH candidates, verified by exact Jaccard similarity.

    Attributes:
        num_perm: values per signature.
        bands: bands of the signature; documents that share one are compared.
        rows: values per band.
        ngram: words per shingle (two characters of a script without spaces count as one word), or characters.
        threshold: least exact Jaccard similarity of duplicates.
        seed: seed of the permutations.
        unit: what shingles are made of: `auto` words, and characters of scripts without spaces; `words` what
            `\w+` matches; `characters` of all scripts.
    """

    num_perm: Annotated[int, Field(ge=8, le=1024)] = 112
    bands: Annotated[int, Field(ge=1)] = 14
    rows: Annotated[int, Field(ge=1)] = 8
    ngram: Annotated[int, Field(ge=1, le=32)] = 5
    threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 1
    unit: Literal["auto", "words", "characters"] = "auto"

    @model_validator(mode="after")
    def _bands_fit(self) -> Near:
        if self.bands * self.rows > self.num_perm:
            raise ValueError(f"bands x rows of at most num_perm = {self.num_perm}, not {self.bands * self.rows}")
        return self


class Quality(StrictModel):
    """Which of several duplicates is the best.

    Attributes:
        signal: a numeric column of the signals table.
        better: whether higher or lower values are better; a document without a value is the worst.
    """

    signal: str
    better: Literal["higher", "lower"] = "higher"


class Dedup(StrictModel):
    """Duplicates: the same address, the same text, nearly the same text.

    Attributes:
        url: of documents with the same address (after normalisation) only the newest stays.
        exact: of documents with the same cleaned text one stays.
        near: near-duplicate search; null for none.
        survivor: which of several duplicates stays: the one of best quality, the longest, the newest (by date), the
            one of the first source in `source_priority`, or the first by hash of the text. That hash and then the
            doc_id break ties, so that no position enters.
        quality: for best_quality.
        source_priority: for source_priority: names of sources, best first; the others follow, all alike.
        rehydration: how often a kept document should be repeated, by the number of documents that it stands for:
            the entry with the greatest key that is not above that number.
        against: workspaces of earlier builds: their kept documents always win over those of this one, and appear in
            none of its tables but as leaders.
        partition_mb: memory for the members of components in one task; what exceeds it is scanned in blocks.
        max_edges: with more links than this, components are found in rounds instead of in one process.
    """

    url: bool = True
    exact: bool = True
    near: Near | None = Near()
    survivor: Literal["best_quality", "longest", "newest", "source_priority", "first"] = "longest"
    quality: Quality | None = None
    source_priority: tuple[Name, ...] = ()
    rehydration: dict[int, int] = Field(default_factory=lambda: {1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1000: 1})
    against: tuple[str, ...] = ()
    partition_mb: Annotated[int, Field(ge=1, le=256)] = 64
    max_edges: Annotated[int, Field(ge=1)] = 200_000_000

    @field_validator("against", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _policy_is_whole(self) -> Dedup:
        for name, given in (("quality", self.quality), ("source_priority", self.source_priority)):
            policy = "best_quality" if name == "quality" else name
            if bool(given) != (self.survivor == policy):
                raise ValueError(f"{name} if, and only if, survivor is {policy}")
        return self

    @field_validator("rehydration")
    @classmethod
    def _weights(cls, value: dict[int, int]) -> dict[int, int]:
        if 1 not in value or min(value) < 1 or min(value.values()) < 1:
            raise ValueError("positive sizes and weights, and a weight for size 1")
        return dict(sorted(value.items()))
