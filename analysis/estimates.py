"""Estimates of methods other than retraining, as rows of the table `effects`: laws, gradients.

`mixtrace effects` measures runs and leaves these rows in place; a method replaces its own rows only.
"""

from __future__ import annotations

from pathlib import Path

from analysis import records
from analysis.verdicts import correction_of, judge

MEASURED = ("retrain", "ngram")
"""Methods of `mixtrace effects` itself."""


def predicted_rows(study: Path) -> list[dict]:
    """Return the rows of a study's effects that runs did not measure."""
    return [row for row in _rows(study) if row["method"] not in MEASURED]


def put_estimates(study: Path, method: str, estimates: list[dict]) -> None:
    """Replace the rows of a method in the table `effects` of a study; they are judged like all others.

    Args:
        study: folder of the study.
        method: every row is of it.
        estimates: rows with the columns of `records.ESTIMATES`; without a p they stay undetermined.
    """
    others = [row for row in _rows(study) if row["method"] != method]
    rows = [*others, *judge(estimates, fdr=correction_of(study))] if estimates else others
    records.write_table(study / "effects.parquet", records.from_rows(rows, "effects"), "effects")


def _rows(study: Path) -> list[dict]:
    path = study / "effects.parquet"
    return records.read_table(path, "effects").to_pylist() if path.is_file() else []
