"""Contrasts of the n-gram: leave-outs with nothing in their place. Imports no torch."""

from __future__ import annotations

from analysis.designs import Contrast, Design, difference

PREFIX = "ngram_"


def ngram_contrasts(design: Design) -> list[Contrast]:
    """Return the leave-out contrasts of the n-gram: fixed data, a smaller corpus, nothing refilled.

    They have the names of the retrained contrasts with fill = none: the same question, answered by another method.
    """
    made = []
    for name in design.spec.leave_out:
        for target in design.targets:
            family = "own-slice" if target == name else "cross-slice"
            made.append(
                Contrast(
                    f"omit_{name} on {target}",
                    family,
                    name,
                    target,
                    "kept",
                    "bpb",
                    "none",
                    difference(f"{PREFIX}omit_{name}", f"{PREFIX}full"),
                    design.spec.delta_bpb,
                    1 if target == name else 0,
                    f"positive: without {name}, and with nothing in its place, the loss on {target} rises",
                    "ngram",
                )
            )
    return made
