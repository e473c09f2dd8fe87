"""The one tree of errors, and the form of their messages.

    MixtraceError            exit 1   the run failed
    ├── ConfigError          exit 2   a recipe, design or flag is wrong; nothing was done
    ├── InputError           exit 2   an input or workspace is missing, empty or of another recipe
    ├── DataQualityError     exit 3   the job ran, but too many records were bad
    ├── StageError           exit 1   a task failed; the workspace can be resumed
    ├── VerifyError          exit 1   outputs contradict each other
    └── ResourceError        exit 1   out of disk, memory or a stated limit

A message reads `<where>: <what is wrong>: got <x>; expected <y>. <hint>`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MixtraceError(Exception):
    """Base of all errors that are reported to the user without a traceback."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[type[MixtraceError], tuple[str]]:
        """Errors cross process and Beam worker boundaries, so they must pickle."""
        return (type(self), (self.message,))


class ConfigError(MixtraceError):
    """A recipe, design or flag is wrong; nothing was done."""

    exit_code = 2


class InputError(MixtraceError):
    """An input or a workspace is missing, empty, unwritable or belongs to something else."""

    exit_code = 2


class DataQualityError(MixtraceError):
    """More input bytes went to dead letters than the recipe allows; everything else was kept."""

    exit_code = 3


class StageError(MixtraceError):
    """A task failed; what is done stays done and the run can be resumed."""


class VerifyError(MixtraceError):
    """Outputs contradict each other or their manifests."""


class ResourceError(MixtraceError):
    """A stated limit of disk, memory or size was reached."""


def message(where: str, what: str, got: object, expected: str, hint: str = "") -> str:
    """Format an error message in the one form that all of ours have.

    >>> message("recipe.yaml:14:7 dedup.threshold", "not a similarity", 1.5, "a number in (0, 1]")
    'recipe.yaml:14:7 dedup.threshold: not a similarity: got 1.5; expected a number in (0, 1]'
    """
    text = f"{where}: {what}: got {got}; expected {expected}"
    return f"{text}. {hint}" if hint else text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the nearest known word, or the list of known words.

    >>> did_you_mean("sorces", ["name", "sources"])
    "Did you mean 'sources'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(known)}." if known else ""
