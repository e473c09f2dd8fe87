"""Precision and recall on the labelled set are what docs/reference/pii.md says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipelines.contracts.recipe import PII_KINDS, Pii
from pipelines.ops.privacy.mask import make_masker
from tests.data.pii import Labelled, make_labelled

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "pii.md"


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[Labelled, str, Counter[str]]]:
    masker = make_masker(Pii(kinds=PII_KINDS))
    assert masker is not None
    made = []
    for label in make_labelled():
        text, counts = masker.mask(label.text)
        made.append((label, text, Counter(counts)))
    return made


def _is_exact(label: Labelled, text: str, counts: Counter[str]) -> bool:
    """Say whether just the value was replaced, as its kind."""
    assert label.value is not None
    return counts == {f"pii_{label.kind}": 1} and text == label.text.replace(label.value, f"<{label.kind}>")


def _kind_rows(outcomes: list[tuple[Labelled, str, Counter[str]]]) -> list[str]:
    rows = []
    for kind in sorted(PII_KINDS):
        positives = [o for o in outcomes if o[0].kind == kind and o[0].value is not None]
        negatives = sum(o[0].kind == kind and o[0].value is None for o in outcomes)
        exact = sum(_is_exact(*o) for o in positives)
        masked = sum(o[2][f"pii_{kind}"] for o in outcomes)
        cells = (kind, len(positives), negatives, masked, f"{exact / masked:.3f}", f"{exact / len(positives):.3f}")
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return rows


def _form_rows(outcomes: list[tuple[Labelled, str, Counter[str]]]) -> list[str]:
    """Return the forms that are not all right."""
    right: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    for label, text, counts in outcomes:
        key = (label.kind, label.form, "value" if label.value is not None else "no value")
        total[key] += 1
        right[key] += _is_exact(label, text, counts) if label.value is not None else not counts
    return [f"| {' | '.join(key)} | {right[key]} of {n} |" for key, n in sorted(total.items()) if right[key] < n]


def test_the_set_is_large(outcomes: list[tuple[Labelled, str, Counter[str]]]) -> None:
    positives = sum(label.value is not None for label, _, _ in outcomes)
    assert positives >= 2000
    assert len(outcomes) - positives >= 2000


def test_the_page_states_what_is_measured(outcomes: list[tuple[Labelled, str, Counter[str]]]) -> None:
    page = PAGE.read_text("utf-8").splitlines()
    rows = [*_kind_rows(outcomes), *_form_rows(outcomes)]
    stated = [
        line for line in page if line.startswith("| ") and not line.startswith(("| kind", "| placeholder", "| `"))
    ]
    assert stated == rows, "put these rows into docs/reference/pii.md:\n" + "\n".join(rows)


def test_masking_again_changes_nothing(outcomes: list[tuple[Labelled, str, Counter[str]]]) -> None:
    constant = make_masker(Pii(kinds=PII_KINDS))
    assert constant is not None
    for _, text, _ in outcomes:
        assert constant.mask(text) == (text, {})
