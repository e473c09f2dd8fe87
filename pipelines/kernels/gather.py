"""Copies of runs of an array, one after the other."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL, read_only


def gather_runs(
    source: np.ndarray, starts: np.ndarray, target: np.ndarray, places: np.ndarray, sizes: np.ndarray
) -> None:
    """Copy `source[starts[i] : starts[i] + sizes[i]]` to `target[places[i] : ...]` for every run i.

    Args:
        source: uint64 `[values]`.
        starts: int64 `[runs]`.
        target: uint64, written.
        places: int64 `[runs]`.
        sizes: int64 `[runs]`.

    Raises:
        IndexError: a run is not within the arrays.
    """
    if len(starts) and not (
        min(starts.min(), places.min(), sizes.min()) >= 0
        and (starts + sizes).max() <= len(source)
        and (places + sizes).max() <= len(target)
    ):
        raise IndexError(
            f"gather_runs: got runs outside of {len(source)} and {len(target)} values; expected runs within"
        )
    _gather_runs(
        read_only(source, np.uint64),
        read_only(starts, np.int64),
        target,
        read_only(places, np.int64),
        read_only(sizes, np.int64),
    )


@njit(**KERNEL)
def _gather_runs(
    source: np.ndarray, starts: np.ndarray, target: np.ndarray, places: np.ndarray, sizes: np.ndarray
) -> None:
    for run in range(len(starts)):
        start, place = starts[run], places[run]
        for i in range(sizes[run]):
            target[place + i] = source[start + i]
