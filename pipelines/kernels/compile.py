"""The one place for numba's options and for where compiled kernels are kept.

Kernels are compiled on first use (seconds) and kept in a cache directory, from which another process
loads them (tenths of a second). numba itself looks only at the file of the kernel it loads, so a change
of a function that a kernel of *another* file inlines would go unnoticed; therefore the cache directory
carries a digest of all files of this package.

Environment:
    NUMBA_CACHE_DIR: where to cache instead of `$XDG_CACHE_HOME/mixtrace/numba/<digest>`.
    MIXTRACE_BOUNDSCHECK: "1" checks every array index and every unaligned load, and caches nothing.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import DTypeLike

BOUNDSCHECK: Final[bool] = os.environ.get("MIXTRACE_BOUNDSCHECK") == "1"


def user_cache_dir() -> Path | None:
    """Return this user's cache directory `$XDG_CACHE_HOME/mixtrace` (default `~/.cache/mixtrace`).

    Returns:
        The directory, made if it was not there, or None where it cannot be written (a read-only home).
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = Path(base) / "mixtrace"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return directory if os.access(directory, os.W_OK | os.X_OK) else None


def source_digest() -> str:
    """Return 16 hex digits that change with any byte of any module of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _place_cache() -> bool:
    """Point numba at the cache directory; say whether there is one."""
    if numba.config.CACHE_DIR:  # set by NUMBA_CACHE_DIR
        return True
    directory = user_cache_dir()
    if directory is None:
        return False
    numba.config.CACHE_DIR = str(directory / "numba" / source_digest())
    return True


# No fastmath: results must not depend on how the compiler reorders sums. "numpy" leaves out the
# check for division by zero that would otherwise stop loops from being vectorised.
KERNEL: Final[dict[str, Any]] = {
    "nogil": True,
    "cache": not BOUNDSCHECK and _place_cache(),
    "error_model": "numpy",
    "boundscheck": BOUNDSCHECK,
}
INLINE: Final[dict[str, Any]] = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": BOUNDSCHECK,
    "inline": "always",
}


def read_only(array: np.ndarray, dtype: DTypeLike, ndim: int = 1) -> np.ndarray:
    """Return a contiguous read-only view of a kernel's input, or a copy where it is not contiguous.

    A kernel compiles (seconds) for every combination of writable and read-only inputs that it meets.

    Raises:
        TypeError: The array has another type or number of dimensions.
    """
    if array.dtype != dtype or array.ndim != ndim:
        raise TypeError(
            f"kernel input: wrong type: got {array.ndim}-d {array.dtype}; expected {ndim}-d {np.dtype(dtype)}"
        )
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
