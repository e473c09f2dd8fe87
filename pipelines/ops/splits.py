"""Held-out splits, drawn by hash before any rule is looked at."""

from __future__ import annotations

from pipelines.contracts.ids import fraction
from pipelines.contracts.recipe import Split


def heldout_fractions(source_bytes: dict[str, int], split: Split) -> dict[str, float]:
    """Return the share of each source that is held out.

    The stated fraction, but at least `min_heldout_bytes` and at most `max_heldout_fraction`.

    Args:
        source_bytes: text bytes of every source, kept or not.
        split: the recipe's split.

    >>> heldout_fractions({"a": 10_000_000, "b": 1000}, Split())
    {'a': 0.02, 'b': 0.1}
    """
    return {
        name: min(max(split.heldout_fraction, split.min_heldout_bytes / max(size, 1)), split.max_heldout_fraction)
        for name, size in sorted(source_bytes.items())
    }


def is_heldout(split_key: str, share: float, split: Split) -> bool:
    """Draw whether everything with this key (a component, or a lone document's content) is held out."""
    return fraction(split_key, f"heldout-{split.seed}") < share
