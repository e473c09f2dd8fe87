"""The scores of the extraction benchmark against counts by hand; the block model on the labelled pages."""

from __future__ import annotations

import numpy as np
import pytest
from resiliparse.parse.html import HTMLTree

from benchmarks.extraction.__main__ import difference_interval, folds_of, measure
from benchmarks.extraction.labels import block_labels
from benchmarks.extraction.pages import LabelledPage, data_folder, labelled_pages, overlap, precision_recall_f1
from benchmarks.extraction.train import make_example, train_model, write_model
from pipelines.contracts.recipe import Extract
from pipelines.ops.pages.blocks import MODEL_FILE, cut_page
from pipelines.ops.pages.content import page_content

needs_pages = pytest.mark.skipif(
    not data_folder().is_dir(), reason="labelled pages are not here (MIXTRACE_SHARED_DATA/extraction-dev)"
)


def test_overlap_counts_runs_of_four_words() -> None:
    assert overlap("a b c d e", "a b c d e") == (1.0, 0.0, 0.0)
    assert overlap("a b c d e", "a b c d x") == (1 / 3, 1 / 3, 1 / 3)
    assert overlap("a b", "a b") == (1.0, 0.0, 0.0)
    assert overlap("a b c d", "") == (0.0, 0.5, 0.5)


def test_precision_and_recall_are_means_over_pages() -> None:
    precision, recall, f1 = precision_recall_f1([(0.5, 0.5, 0.0), (1.0, 0.0, 0.0)])
    assert (precision, recall) == (0.75, 1.0)
    assert f1 == pytest.approx(2 * 0.75 / 1.75)


def test_labels_follow_the_true_text() -> None:
    html = "<nav><a>Home page</a></nav><p>one two three four five<p>six<div>Buy now six times</div>"
    page = cut_page(str(HTMLTree.parse(html)))
    labels, size = block_labels(page, LabelledPage("k", "article", html, "one two three four five six"))
    assert labels.tolist() == [False, True, True, False]
    assert size.tolist() == [2, 5, 1, 4]


def test_folds_are_even_and_fixed() -> None:
    fold = folds_of(218)
    assert sorted(np.bincount(fold).tolist()) == [27] * 6 + [28] * 2
    assert (fold == folds_of(218)).all()


def test_the_interval_of_equal_extractors_is_a_point() -> None:
    shares = [(0.5, 0.3, 0.2), (0.9, 0.1, 0.0), (0.4, 0.0, 0.6)]
    assert difference_interval(shares, shares) == (0.0, 0.0, 0.0)
    worse = [(0.1, 0.5, 0.4)] * 3
    assert difference_interval(shares, worse)[1] > 0


@needs_pages
def test_no_article_is_lost() -> None:
    pages = [page for page in labelled_pages() if page.origin == "article"]
    outcome = measure(pages, lambda page: (page_content(page.html, Extract()).text, ""))
    assert outcome.empty == 0
    assert precision_recall_f1(outcome.overlaps)[2] > 0.96  # the pages are those it was trained on


@needs_pages
def test_the_model_is_what_the_script_trains(tmp_path) -> None:
    examples = [make_example(page) for page in labelled_pages()]
    write_model(train_model(examples), tmp_path / "model.json", len(examples))
    assert (tmp_path / "model.json").read_bytes() == MODEL_FILE.read_bytes()
