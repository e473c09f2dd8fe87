"""Which share of the documents of every source and language a tokenizer is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

Stratum = tuple[str, str]
"""Source and language."""
_ROUNDS: Final = 200


def stratum_shares(
    text_bytes: Mapping[Stratum, int],
    source_shares: Mapping[str, float],
    language_shares: Mapping[str, float],
    smoothing: float,
) -> dict[Stratum, float]:
    """Divide a sample among strata.

    A stratum weighs as its bytes to the power of `smoothing` (exponential smoothing of languages: Conneau et al. 2020,
    arXiv:1911.02116). Stated shares are then met by scaling sources and languages in turn (iterative proportional
    fitting: Deming and Stephan 1940); shares that contradict each other are met as nearly as that goes.

    Args:
        text_bytes: bytes of text that every stratum has.
        source_shares: shares of some sources; those without text are left out.
        language_shares: shares of some languages.
        smoothing: exponent, 0 to 1.

    Returns:
        Share of the sample of every stratum with text, sum 1; empty without text.
    """
    strata = sorted(stratum for stratum, size in text_bytes.items() if size > 0)
    if not strata:
        return {}
    weight = np.array([float(text_bytes[stratum]) ** smoothing for stratum in strata])
    weight /= weight.sum()
    sides = [_margins(strata, side, shares) for side, shares in enumerate((source_shares, language_shares))]
    for _ in range(_ROUNDS if all(sides) else 1):
        for margins in filter(None, sides):
            weight = _scale(weight, margins)
    return dict(zip(strata, weight.tolist(), strict=True))


def _margins(strata: list[Stratum], side: int, shares: Mapping[str, float]) -> list[tuple[np.ndarray, float]]:
    """Return (members, share) of every named source (side 0) or language (side 1) that has text."""
    found = [(np.array([stratum[side] == name for stratum in strata]), share) for name, share in sorted(shares.items())]
    return [(members, share) for members, share in found if members.any()]


def _scale(weight: np.ndarray, margins: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """Scale members of each margin to its share, and what is in none of them to the rest."""
    scaled = weight.copy()
    others = ~np.any([members for members, _ in margins], axis=0)
    rest = max(0.0, 1.0 - sum(share for _, share in margins))
    for members, share in [*margins, (others, rest)]:
        total = weight[members].sum()
        if total > 0:
            scaled[members] *= share / total
    return scaled / scaled.sum()


def drawn_fractions(
    text_bytes: Mapping[Stratum, int], shares: Mapping[Stratum, float], sample_bytes: float
) -> dict[Stratum, float]:
    """Return the fraction of its documents that every stratum gives; at most 1, and no other stratum makes up for it.

    >>> drawn_fractions({("web", "en"): 1000, ("web", "de"): 10}, {("web", "en"): 0.5, ("web", "de"): 0.5}, 100)
    {('web', 'en'): 0.05, ('web', 'de'): 1.0}
    """
    return {stratum: min(1.0, share * sample_bytes / text_bytes[stratum]) for stratum, share in shares.items()}
