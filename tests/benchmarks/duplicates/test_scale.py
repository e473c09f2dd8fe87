"""The made-up corpus has the duplicates that it says, and the stages find them."""

from __future__ import annotations

import numpy as np

from benchmarks.duplicates.scale import STAGES, Corpus, removed, run


def test_copies_are_copies() -> None:
    corpus = Corpus(5000)
    rows = np.arange(5000)
    texts = np.array(corpus.texts(rows).to_pylist())
    copies = corpus.origin != rows
    assert (texts[copies & ~corpus.edited] == texts[corpus.origin[copies & ~corpus.edited]]).all()
    assert 0.18 < corpus.edited.mean() < 0.22
    for row in np.flatnonzero(corpus.edited)[:50]:
        ours, theirs = texts[row].split(), texts[corpus.origin[row]].split()
        assert len(ours) == len(theirs)
        assert sum(a != b for a, b in zip(ours, theirs, strict=True)) < 5 + 0.05 * len(ours)
    assert len(np.unique(texts[~copies])) == (~copies).sum()
    backwards = corpus.texts(rows[:9][::-1]).to_pylist()
    assert backwards == texts[:9][::-1].tolist()


def test_the_stages_find_them() -> None:
    megabytes, costs = run(1000)
    found = removed(costs)
    assert [cost.stage for cost in costs] == list(STAGES)
    assert 1.5 < megabytes < 3
    assert 150 < found["near"] + found["exact"] < 240
    assert found["near"] > found["exact"] > 0
