"""Options of any design: the decisions again at another rate and budget, one kind of seed at a time, and a utility."""

from __future__ import annotations

from dataclasses import replace

from analysis.design_file import DesignSpec
from analysis.designs.cells import Cell, Contrast, Design
from pipelines.contracts.errors import ConfigError, message

UTILITY = "utility"
"""Target of contrasts on the weighted mean over all targets."""
LOWER_RATE, MORE_TOKENS = "robustness-lr", "robustness-tokens"
VARIANTS = {LOWER_RATE: ("_lr3", "at lr/3"), MORE_TOKENS: ("_2x", "at 2x tokens")}
"""Family -> (ending of the cells, what is added to the name of a contrast)."""


def with_options(spec: DesignSpec, cells: list[Cell], contrasts: list[Contrast]) -> tuple[list[Cell], list[Contrast]]:
    """Add what a design file asks for besides its kind.

    Raises:
        ConfigError: if it asks for the robustness of decisions and has none.
    """
    if spec.robustness:
        cells, contrasts = _with_robustness(spec, cells, contrasts)
    return [*cells, *(_seed_cells(cells[0]) if spec.seed_components else [])], contrasts


def _with_robustness(
    spec: DesignSpec, cells: list[Cell], contrasts: list[Contrast]
) -> tuple[list[Cell], list[Contrast]]:
    """Train the cells of the decisions again at a third of the learning rate and on twice the tokens.

    A decision that turns with either is one about this rate or this budget. Families of their own: at another rate and
    budget the noise is another, too.
    """
    decisions = [one for one in contrasts if one.family == "decisions" and one.method == "retrain"]
    if not decisions:
        raise ConfigError(message("robustness", "nothing to check", "a design without decisions", "one with decisions"))
    by_name = {cell.name: cell for cell in cells}
    wanted = dict.fromkeys(name for one in decisions for cell in one.coef for name in (by_name[cell].baseline, cell))
    made, compared = [], []
    for family, (ending, label) in VARIANTS.items():
        for cell in (by_name[name] for name in wanted):
            changed = (
                {"lr": (cell.lr or spec.proxy.lr) / 3}
                if family == LOWER_RATE
                else {"tokens": 2 * (cell.tokens or spec.tokens)}
            )
            made.append(
                replace(cell, name=cell.name + ending, baseline=cell.baseline + ending,
                        description=f"{cell.description}; {label}", **changed)
            )  # fmt: skip
        compared += [
            replace(one, name=f"{one.name} {label}", family=family, coef={cell + ending: x for cell, x in one.coef.items()})
            for one in decisions
        ]  # fmt: skip
    return [*cells, *made], [*contrasts, *compared]


def _seed_cells(full: Cell) -> list[Cell]:
    """Train the full mixture with one kind of seed changing from block to block, the others as in block 0."""
    texts = {
        "init": "the initial weights",
        "data": "the documents drawn (and so their order)",
        "order": "the order of the same slots",
    }
    return [
        replace(full, name=f"seeds_{vary}", role="null", vary=vary, description=f"only {text} changes between blocks")
        for vary, text in texts.items()
    ]  # fmt: skip


def utility_contrasts(design: Design) -> list[Contrast]:
    """Return the decisions' contrasts on the weighted mean of all targets, the weights from the design (equal if not named).

    Every sum of cells gives one; its values come from `analysis.effects`, block by block, so that what the
    targets share is in its error.
    """
    found: dict[tuple, Contrast] = {}
    for one in design.contrasts:
        if one.family != "decisions" or one.method != "retrain" or one.metric != "bpb":
            continue
        key = (one.slice, one.population, tuple(sorted(one.coef.items())))
        if key not in found:
            name = one.name.removesuffix(f" on {one.target}")
            found[key] = replace(
                one, name=f"{name} on {UTILITY}", family="utility", target=UTILITY,
                meaning=f"positive: the weighted mean loss over all targets rises, so {one.slice} should stay out",
            )  # fmt: skip
    return list(found.values())


def target_weights(utility: dict[str, float] | None, targets: tuple[str, ...]) -> dict[str, float]:
    """Return the weights of the targets in the utility; they sum to 1.

    >>> target_weights({"code": 3.0, "books": 1.0}, ("books", "code", "web"))
    {'books': 0.25, 'code': 0.75, 'web': 0.0}
    """
    given = utility or dict.fromkeys(targets, 1.0)
    total = sum(given.values())
    return {target: given.get(target, 0.0) / total for target in targets}
