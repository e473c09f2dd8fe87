"""Mixtures: weights over atoms, and the pure functions that change them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pipelines.contracts.errors import ConfigError, message


@dataclass(frozen=True)
class Mixture:
    """What a run trains on.

    Attributes:
        weights: share of the slots per atom; positive, summing to 1.
        pools: per atom, the share of its components (by hash) that may be drawn; 1 if not named.
    """

    weights: Mapping[str, float]
    pools: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ConfigError: if a weight is not positive or they do not sum to 1.
        """
        bad = {atom: weight for atom, weight in self.weights.items() if not weight > 0}
        total = sum(self.weights.values())
        if bad or abs(total - 1) > 1e-9:
            raise ConfigError(
                message("mixture", "not a mixture", bad or f"a sum of {total}", "positive weights that sum to 1")
            )


def normalised(weights: Mapping[str, float], pools: Mapping[str, float] | None = None) -> Mixture:
    """Scale weights to sum to 1; zero weights are left out, atoms are sorted by name."""
    positive = {atom: weights[atom] for atom in sorted(weights) if weights[atom] > 0}
    total = sum(positive.values())
    if total <= 0:
        raise ConfigError(message("mixture", "nothing left", "no weight", "at least one atom with tokens"))
    return Mixture({atom: weight / total for atom, weight in positive.items()}, dict(pools or {}))


def leave_out(mixture: Mixture, atoms: Iterable[str], fill: str = "proportional", to: Iterable[str] = ()) -> Mixture:
    """Take atoms out of a mixture.

    Args:
        mixture: the mixture.
        atoms: atoms to take out.
        fill: "proportional": the others grow in proportion; "named": the atoms in `to` take the weight,
            in proportion to theirs.
        to: atoms that fill, for "named".

    Raises:
        ConfigError: if nothing would be left, or `fill` is unknown ("none" is not a mixture but a shorter run).
    """
    out = set(atoms)
    left = {atom: weight for atom, weight in mixture.weights.items() if atom not in out}
    if fill == "proportional":
        return normalised(left, mixture.pools)
    if fill != "named":
        raise ConfigError(message("leave_out", "unknown fill", fill, "proportional or named"))
    takers = {atom: left[atom] for atom in to if atom in left}
    if not takers:
        raise ConfigError(message("leave_out", "nothing to fill with", sorted(to), "atoms of the mixture"))
    freed = 1 - sum(left.values())
    share = sum(takers.values())
    grown = {atom: weight + freed * takers[atom] / share if atom in takers else weight for atom, weight in left.items()}
    return normalised(grown, mixture.pools)


def swap(mixture: Mixture, pairs: Iterable[tuple[str, str]], share: float) -> Mixture:
    """Move a share of the weight of one atom to another, for each pair.

    Args:
        mixture: the mixture.
        pairs: (from, to) atoms; a `from` that is not in the mixture is skipped.
        share: share of the weight that moves, in (0, 1].
    """
    weights = dict(mixture.weights)
    for source, target in pairs:
        if source in mixture.weights:
            moved = share * mixture.weights[source]
            weights[source] -= moved
            weights[target] = weights.get(target, 0.0) + moved
    return normalised(weights, mixture.pools)


def with_pools(mixture: Mixture, pools: Mapping[str, float]) -> Mixture:
    """Restrict atoms to a share of their components."""
    return replace(mixture, pools={**mixture.pools, **pools})


def slice_weight(mixture: Mixture, atoms: Iterable[str]) -> float:
    """Sum the weights of some atoms."""
    return sum(mixture.weights.get(atom, 0.0) for atom in atoms)
