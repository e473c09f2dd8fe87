"""Schedules: which atom fills which slot, coupled across the cells of a block.

The baseline's slots go to argmin_k E(seed, t, k) / w_k with E exponential (an exponential race), so atom k
wins with probability w_k. Another mixture keeps every slot that it can: an atom whose weight fell from w
to v keeps each of its slots with probability v / w, and what is set free goes to the atoms whose weight
grew. So leaving k out changes only the slots that k had won. A kept slot keeps its text, too: the
content of an atom's slots is a prefix of one stream per (block, atom). Differences between the cells of a
block are thus not blurred by different draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.mixtures import Mixture
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import key64

Transform = Literal["none", "sham", "shuffle", "canary", "omit"]
"""What is done to the slots besides drawing them from the mixture.

sham     a random share of the slots is redrawn from the same mixture, with fresh content (true effect 0)
shuffle  the tokens of a random share of the slots are shuffled (must hurt)
canary   a random share of the slots holds made-up facts (`analysis.canary`); a sham of the same share redraws the
         same slots
omit     the slots of atoms that the mixture lacks are left out, with nothing in their place (a shorter run)
"""
SCHEDULE_VERSION = 2
"""Raised by hand when the same design would train on other tokens; enters the design_id."""
CONTROL_SHARE = 0.2
"""Share of the slots that sham and shuffle touch unless a cell says otherwise."""


@dataclass(frozen=True)
class Slots:
    """The slots of one run.

    Attributes:
        names: atoms that may win, sorted.
        atom: [slots] index into `names`.
        position: [slots] which slot of the atom's stream.
        shuffled: [slots] whether the tokens of the slot are shuffled.
        canary: [slots] whether the slot holds canary text, not the atom's.
    """

    names: tuple[str, ...]
    atom: np.ndarray
    position: np.ndarray
    shuffled: np.ndarray
    canary: np.ndarray

    def permuted(self, order: np.ndarray) -> Slots:
        """Return the same slots in another order.

        Args:
            order: [slots] permutation.
        """
        columns = (column[order] for column in (self.atom, self.position, self.shuffled, self.canary))
        return Slots(self.names, *columns)


def generator(*key: object) -> np.random.Generator:
    """Return a generator that depends on a key only (counter-based, no global state)."""
    return np.random.Generator(np.random.Philox(key=key64("\0".join(map(str, key)))))


def race(weights: Mapping[str, float], slots: int, seed: str) -> np.ndarray:
    """Run the exponential race.

    Args:
        weights: positive weights; each atom's draws depend on its name only, not on the others.
        slots: number of slots.
        seed: names the block.

    Returns:
        [slots] index of the winner among the sorted atoms.
    """
    best, winner = np.full(slots, np.inf), np.zeros(slots, np.int64)
    for index, name in enumerate(sorted(weights)):
        arrival = generator(seed, "race", name).exponential(size=slots) / weights[name]
        earlier = arrival < best
        best[earlier], winner[earlier] = arrival[earlier], index
    return winner


def schedule(
    mixture: Mixture,
    reference: Mixture,
    slots: int,
    block_seed: str,
    transform: Transform = "none",
    share: float = CONTROL_SHARE,
) -> Slots:
    """Fill the slots of a run.

    Args:
        mixture: what to draw from.
        reference: mixture of the baseline cell: a slot that the same atom wins in both keeps its text.
        slots: number of slots.
        block_seed: the same for every cell of a block.
        transform: what is done besides.
        share: share of the slots that the transform touches.
    """
    names = tuple(sorted(mixture.weights))
    if transform == "omit":
        return omitted(names, reference, slots, block_seed)
    winner = coupled(mixture, reference, slots, block_seed)
    redrawn = np.zeros(slots, bool)
    shuffled = np.zeros(slots, bool)
    canary = np.zeros(slots, bool)
    if transform == "sham":
        redrawn = generator(block_seed, "sham").random(slots) < share
        fresh = np.array(names)[race(mixture.weights, slots, block_seed + "/sham")]
        winner = np.where(redrawn, fresh, winner)
    if transform == "shuffle":
        shuffled = generator(block_seed, "shuffle").random(slots) < share
    if transform == "canary":
        canary = generator(block_seed, "sham").random(slots) < share
    before = np.array(sorted(reference.weights))[race(reference.weights, slots, block_seed)]
    position = np.empty(slots, np.int64)
    for name in names:
        position[winner == name] = _positions(winner == name, before == name, redrawn)
    return Slots(names, np.searchsorted(names, winner), position, shuffled, canary)


def coupled(mixture: Mixture, reference: Mixture, slots: int, seed: str) -> np.ndarray:
    """Draw slots of a mixture that agree with the baseline's slots as often as the weights allow.

    Returns:
        [slots] name of the winner; P(winner = k) is the weight of k in `mixture`.
    """
    winner = np.array(sorted(reference.weights))[race(reference.weights, slots, seed)].astype(object)
    share = {atom: min(1.0, mixture.weights.get(atom, 0.0) / weight) for atom, weight in reference.weights.items()}
    stays = np.array([share[atom] for atom in winner])
    freed = generator(seed, "freed").random(slots) >= stays
    surplus = {a: w - reference.weights.get(a, 0.0) for a, w in mixture.weights.items()}
    grown = {a: extra for a, extra in surplus.items() if extra > 1e-12}
    if freed.any() and grown:
        takers = np.array(sorted(grown), dtype=object)[race(grown, slots, seed + "/freed")]
        winner[freed] = takers[freed]
    return winner.astype(str)


def omitted(names: tuple[str, ...], reference: Mixture, slots: int, seed: str) -> Slots:
    """Take the first slots of the baseline's race that go to some of its atoms: the same data, less the others.

    Args:
        names: atoms that stay, sorted.
        reference: mixture of the baseline, which has them all.
        slots: slots of the shorter run.
        seed: names the block.

    Raises:
        ConfigError: if an atom is not in the baseline.
    """
    foreign = [name for name in names if name not in reference.weights]
    if foreign:
        raise ConfigError(message("omit", "not in the baseline", foreign[0], "atoms of the baseline"))
    everyone = np.array(sorted(reference.weights))
    stays = np.isin(everyone, names)
    drawn = math.ceil(slots / sum(reference.weights[name] for name in names))
    winner = race(reference.weights, drawn, seed)
    while stays[winner].sum() < slots:  # a longer race begins with the same slots
        drawn += max(8, drawn // 16)
        winner = race(reference.weights, drawn, seed)
    won = everyone[winner[stays[winner]][:slots]]
    position = np.empty(slots, np.int64)
    for name in names:
        mine = won == name
        position[mine] = np.arange(mine.sum())
    return Slots(names, np.searchsorted(names, won), position, np.zeros(slots, bool), np.zeros(slots, bool))


def _positions(mine: np.ndarray, before: np.ndarray, redrawn: np.ndarray) -> np.ndarray:
    """Number the slots of one atom: what it had won before keeps its number, the rest comes after all of that.

    Args:
        mine: [slots] whether the atom wins the slot.
        before: [slots] whether it wins the slot in the baseline.
        redrawn: [slots] whether the slot gets fresh content anyway.

    Returns:
        [mine] positions in the atom's stream.
    """
    kept = mine & before & ~redrawn
    position = np.cumsum(before) - 1
    fresh = mine & ~kept
    position[fresh] = before.sum() + np.arange(fresh.sum())
    return position[mine]
