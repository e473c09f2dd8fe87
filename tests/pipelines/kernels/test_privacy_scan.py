"""The prefilter never says "nothing here" of a text in which a search would find something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.recipe import PII_KINDS
from pipelines.kernels.privacy_scan import AT, CLASSES, COLONS, DASHES, TOKEN, ZONE, privacy_flags
from pipelines.ops.privacy import mask
from pipelines.ops.privacy.emails import find_emails
from pipelines.ops.privacy.numbers import digit_zones
from tests.data.pii import make_labelled


def flags(text: str) -> int:
    return privacy_flags(np.frombuffer(text.encode(), np.uint8), CLASSES)


@pytest.mark.parametrize(("text", "expected"), [
    ("", 0), ("no digits, no mark", 0), ("in 1999 and 2000", 0), ("a@b", AT), ("a%40b", AT), ("%4", 0), ("x (at) y", AT),
    ("[ AT ]", AT), ("[a", 0), ("12 34 56", ZONE), ("1234567", ZONE), ("123456", 0), ("12\u00a034\u201156", ZONE),
    ("abcdefghijklmno1", TOKEN), ("abcdefghijklmnopqrs", 0), ("abcdefghijklmnopqrst", TOKEN), ("a::b", COLONS),
    ("-----BEGIN X", DASHES), ("----", 0),
])  # fmt: skip
def test_flags(text: str, expected: int) -> None:
    assert flags(text) == expected


def test_no_value_of_the_labelled_set_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = frozenset(PII_KINDS)
    labels = make_labelled(per_form=20, seed=77)
    with_flags = [mask.find_spans(label.text, kinds, ("US",)) for label in labels]
    monkeypatch.setattr(mask, "privacy_flags", lambda data, classes: AT | ZONE | TOKEN | COLONS | DASHES)
    assert with_flags == [mask.find_spans(label.text, kinds, ("US",)) for label in labels]


@given(st.text(alphabet=st.sampled_from("0123456789 ().-/\u00a0\u2010\u2013\u202f@a[(tT%中"), max_size=60))
def test_zones_and_marks_are_never_missed(text: str) -> None:
    if digit_zones(text):
        assert flags(text) & ZONE
    if any(find_emails(text)):
        assert flags(text) & AT
