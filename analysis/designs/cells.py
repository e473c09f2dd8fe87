"""What a design is made of: cells (what is trained) and contrasts (what is compared)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analysis.design_file import DesignSpec
from analysis.mixtures import Mixture
from analysis.schedule import CONTROL_SHARE, SCHEDULE_VERSION, Transform
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import fingerprint

Family = Literal["own-slice", "cross-slice", "decisions", "controls", "canary", "downstream", "optimum", "utility",
                 "robustness-lr", "robustness-tokens"]  # fmt: skip
CONTROL_FAMILIES = ("controls", "canary")
"""What a study checks itself by; the canary's own test lends its noise to no other control."""
Fill = Literal["proportional", "named", "none"]


@dataclass(frozen=True)
class Cell:
    """One mixture that is trained, once per block.

    Attributes:
        name: name; runs are called `<name>-<block>`.
        mixture: what it draws from.
        role: what it is there for.
        baseline: cell whose slots it keeps as far as its weights allow.
        description: what was changed, in words.
        transform: what is done to the slots besides (`analysis.schedule`).
        target_slice: slice or decision that the cell is about.
        share: share of the slots that the transform touches.
        tokens: training tokens, if not those of the design.
        lr: peak learning rate, if not the proxy's.
        blocks: how many of the blocks it is run in, the first ones; all if not given.
        vary: which seeds change from block to block; the others are those of block 0.
    """

    name: str
    mixture: Mixture
    role: Literal["base", "treatment", "null", "positive"]
    baseline: str
    description: str
    transform: Transform = "none"
    target_slice: str = ""
    share: float = CONTROL_SHARE
    tokens: int | None = None
    lr: float | None = None
    blocks: int | None = None
    vary: Literal["all", "init", "data", "order"] = "all"


@dataclass(frozen=True)
class Contrast:
    """A sum of cells on one target; the verdict speaks of `slice`.

    Attributes:
        name: name; with `method`, unique in a design.
        family: tests of a family are corrected together.
        slice: slice or decision that the verdict speaks of.
        target: held-out slice.
        population: "kept", "unfiltered" or "canary".
        metric: "bpb" or "choice_margin".
        fill: what takes the place of what was removed.
        coef: cell -> coefficient; they sum to 0.
        delta: half width of what counts as negligible, in bits per byte.
        expected_sign: +1 or -1 where a sign is expected by construction, else 0.
        meaning: what a positive estimate says.
        method: how the cells are scored: "retrain" or "ngram".
        noise_group: contrasts of a family with another group lend it no variance: a target whose own text the cells
            change is noisier than the others.
    """

    name: str
    family: Family
    slice: str
    target: str
    population: str
    metric: str
    fill: Fill
    coef: Mapping[str, float]
    delta: float
    expected_sign: int
    meaning: str
    method: str = "retrain"
    noise_group: str = ""

    def __post_init__(self) -> None:
        """Check the coefficients.

        Raises:
            ConfigError: if they are not finite, or do not sum to 0.
        """
        total = sum(self.coef.values())
        if not self.coef or not abs(total) < 1e-9:
            found = f"a sum of {total} over {sorted(self.coef)}"
            raise ConfigError(message(f"contrast {self.name!r}", "not a contrast", found, "coefficients that sum to 0"))

    def labels(self) -> dict[str, object]:
        """Return what every estimate of the contrast says about it, whatever its method: columns of `effects`."""
        names = ("family", "slice", "target", "population", "metric", "fill", "delta", "expected_sign", "meaning")
        return {"contrast": self.name, **{name: getattr(self, name) for name in names}}


def difference(treatment: str, baseline: str) -> dict[str, float]:
    """Return the coefficients of treatment minus baseline."""
    return {treatment: 1.0, baseline: -1.0}


def trend(doses: Mapping[str, float]) -> dict[str, float]:
    """Return the coefficients of the least-squares slope of cells over their doses.

    >>> trend({"a": 0.0, "b": 1.0, "c": 2.0})
    {'a': -0.5, 'b': 0.0, 'c': 0.5}
    """
    mean = sum(doses.values()) / len(doses)
    square = sum((dose - mean) ** 2 for dose in doses.values())
    return {cell: (dose - mean) / square for cell, dose in doses.items()}


@dataclass(frozen=True)
class Design:
    """A study, hashed before any result exists."""

    spec: DesignSpec
    targets: tuple[str, ...]
    cells: tuple[Cell, ...]
    contrasts: tuple[Contrast, ...]
    corpus: str
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the plan says besides: doses, overlaps, aliases."""
    added_blocks: int = 0
    """Blocks that `design extend` has added; they change no id."""

    @property
    def blocks(self) -> int:
        """Blocks that are run: those of the design, and those that were added."""
        return self.spec.blocks + self.added_blocks

    @property
    def design_id(self) -> str:
        """Hash of everything that the study depends on; a section that a file leaves out plays no part."""
        cells = [
            [
                c.name,
                dict(c.mixture.weights),
                dict(c.mixture.pools),
                c.transform,
                c.share,
                c.baseline,
                c.tokens,
                c.lr,
                *([c.blocks] if c.blocks else []),
                *([c.vary] if c.vary != "all" else []),
            ]
            for c in self.cells
        ]
        contrasts = [[c.name, c.method, c.target, c.population, c.metric, dict(c.coef)] for c in self.contrasts]
        spec = self.spec.model_dump(mode="json", exclude_none=True)
        return fingerprint(spec, cells, contrasts, self.corpus, SCHEDULE_VERSION)[:12]

    def cell(self, name: str) -> Cell:
        """Return a cell by its name."""
        return next(cell for cell in self.cells if cell.name == name)

    def runs(self) -> list[tuple[Cell, int]]:
        """Return every run, block by block: its cell and block."""
        return [
            (cell, block)
            for block in range(self.blocks)
            for cell in self.cells
            if cell.blocks is None or block < cell.blocks
        ]

    def tokens(self, cell: Cell) -> int:
        """Return the training tokens of a run of a cell."""
        return cell.tokens or self.spec.tokens
