"""Pools: samples of components, so that copies and their originals are in a run together, or in none."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.slices import Atoms
from pipelines.contracts.ids import fraction


def pool_share(atoms: Atoms, names: Iterable[str], tokens: float) -> float:
    """Return the share of components, by hash, in which some atoms hold just as many training tokens as asked.

    Args:
        atoms: the documents.
        names: atoms.
        tokens: tokens that the pool should hold; it has at least so many, or all there are.

    Returns:
        A bound for `fraction(component, "pool")`; 1 takes everything. Larger pools contain smaller ones.
    """
    chosen = pc.and_(
        pc.equal(atoms.table["split"], "train"), pc.is_in(atoms.table["atom"], pa.array(sorted(names), pa.string()))
    )
    sizes = atoms.table.filter(chosen).group_by("component").aggregate([("tokens", "sum")])
    keys = np.array([fraction(component, "pool") for component in sizes["component"].to_pylist()])
    order = np.argsort(keys)
    held = np.cumsum(sizes["tokens_sum"].to_numpy()[order])
    at = int(np.searchsorted(held, tokens))
    return 1.0 if at >= len(held) else float(np.nextafter(keys[order][at], 2.0))
