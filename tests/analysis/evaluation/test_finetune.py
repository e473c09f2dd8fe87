"""Fine-tuning on made passages: what is learnt, from what, on which documents; pooling by hand."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from analysis import records
from analysis.evaluation import labelled
from analysis.evaluation.finetune import Classifier, FineTuning, fine_tune
from analysis.evaluation.finetune_command import _save, format_finetuned, score_rows
from analysis.evaluation.labelled import MIN_TEST, PER_DOCUMENT, LabelledTask, Passages, labelled_task
from analysis.models.neural import build, initialise
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.toy import small_proxy

CONTEXT = 16


def passages(n, seed, label=None):
    """Passages of two classes that differ in which of two tokens is frequent."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n) if label is None else label
    lengths = rng.integers(6, CONTEXT + 1, n)
    ids = np.zeros((n, CONTEXT), np.int64)
    for row in range(n):
        text = rng.integers(3, 60, lengths[row] - 1)
        text[rng.random(len(text)) < 0.4] = 1 + label[row]
        ids[row, 1 : lengths[row]] = text
    names = np.array([f"{seed}-{row}" for row in range(n)])
    return Passages(ids, lengths, label, names, names)


@pytest.fixture(scope="module")
def task():
    return LabelledTask("toy", ("a", "b"), passages(256, 1), passages(80, 2))


def model(name="llama", **changes):
    made = build(small_proxy(model=name, context=CONTEXT, **changes))
    initialise(made, 5)
    return made


@pytest.mark.parametrize(
    ("name", "pooling"), [("llama", "last"), ("llama", "mean"), ("lstm", "last"), ("bert", "mean")]
)
def test_classes_are_learnt(task, name, pooling):
    found = fine_tune(lambda: model(name), task, FineTuning(4, 1e-2, 32, pooling), 0)
    assert (found == task.test.label).mean() > 0.85


def test_seeds_decide_and_test_labels_do_not(task):
    how = FineTuning(1, 1e-2)
    one, again, other = (fine_tune(model, task, how, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    flipped = LabelledTask("toy", task.classes, task.train, passages(80, 2, 1 - task.test.label))
    hidden = LabelledTask("toy", task.classes, task.train, Passages(task.test.ids, task.test.lengths, flipped.test.label,
                                                                      task.test.component, task.test.doc_id))  # fmt: skip
    assert np.array_equal(fine_tune(model, hidden, how, 0), one)


def test_untrained_weights_are_drawn_anew(task):
    how = FineTuning(1, 1e-3)
    trained = fine_tune(lambda: model(embedding_std=1.0), task, how, 3)
    drawn = fine_tune(lambda: model(embedding_std=1.0), task, how, 3, untrained=True)
    assert not np.array_equal(trained, drawn)

    def other():
        made = model(embedding_std=1.0)
        with torch.no_grad():
            for weight in made.parameters():
                weight.mul_(3)
        return made

    assert np.array_equal(fine_tune(other, task, how, 3, untrained=True), drawn)  # what was there plays no part


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_padding_plays_no_part(pooling):
    made = model()
    classifier = Classifier(made, 3, pooling, 0)
    rows = passages(5, 3)
    ids, lengths = torch.from_numpy(rows.ids), torch.from_numpy(rows.lengths)
    with torch.inference_mode():
        logits = classifier(ids, lengths)
        for row in range(5):
            states = made.states(ids[row : row + 1, : lengths[row]])[0]
            pooled = states[-1] if pooling == "last" else states.mean(0)
            torch.testing.assert_close(logits[row], classifier.head(pooled), atol=1e-5, rtol=1e-5)


def atoms(documents):
    """Atoms of documents: (label, split, kept, tokens, component)."""
    columns = {
        "doc_id": [f"d{i}" for i in range(len(documents))],
        "shard": [0] * len(documents),
        "shard_row": list(range(len(documents))),
        "split": [split for _, split, *_ in documents],
        "kept": [kept for _, _, kept, *_ in documents],
        "component": [component for *_, component in documents],
    }
    return Atoms((), pa.table(columns), ("shard",))


def choose(monkeypatch, documents, per_class=40):
    monkeypatch.setattr(labelled, "document_tokens", lambda _w, _p, row: np.append(np.arange(documents[row][3]) + 1, 0))
    labels = {f"d{i}": one[0] for i, one in enumerate(documents) if one[0]}
    return labelled_task("ws", atoms(documents), "mine", labels, CONTEXT, 0, per_class)


def test_training_is_of_train_and_tests_of_what_is_held_out(monkeypatch):
    documents = [
        (label, split, True, 10, f"{label}{split}{i}")
        for label in "ab"
        for split in ("train", "heldout")
        for i in range(30)
    ]
    documents += [("a", "train", False, 10, "dropped"), (None, "train", True, 10, "unlabelled")]
    task = choose(monkeypatch, documents)
    assert task.classes == ("a", "b")
    assert np.bincount(task.train.label).tolist() == [30, 30]
    assert np.bincount(task.test.label).tolist() == [10, 10]
    assert {name[1:-1].rstrip("0123456789") for name in task.train.component} == {"train"}
    assert {name[1:-1].rstrip("0123456789") for name in task.test.component} == {"heldout"}
    assert not {"d120", "d121"} & {*task.train.doc_id, *task.test.doc_id}
    assert np.bincount(choose(monkeypatch, documents, 20).train.label).tolist() == [20, 20]


def test_a_long_document_gives_passages_spread_over_it(monkeypatch):
    documents = [(label, split, True, size, f"{label}{split}{i}") for label, size in (("a", 15 * 100 + 3), ("b", 15))
                 for split in ("train", "heldout") for i in range(30)]  # fmt: skip
    task = choose(monkeypatch, documents)
    mine = task.train.ids[task.train.label == 0]
    of_one = mine[task.train.doc_id[task.train.label == 0] == task.train.doc_id[0]]
    assert len(of_one) == PER_DOCUMENT
    assert of_one[0].tolist() == [0, *range(1, 16)]
    assert of_one[-1].tolist() == [0, *range(15 * 99 + 1, 15 * 100 + 1)]
    assert len(set(task.train.doc_id[task.train.label == 1])) == 30
    assert task.train.lengths.tolist() == [16] * 70


@pytest.mark.parametrize(
    ("documents", "error", "fault"),
    [
        ([("a", "train", True, 9, f"c{i}") for i in range(60)], ConfigError, "nothing to tell apart"),
        ([(label, "train", True, 9, f"{label}{i}") for label in "ab" for i in range(30)], ConfigError,
         f"class 'a': too few passages of split heldout: got 0 passages; expected at least {MIN_TEST}"),
        ([(label, split, True, 9, f"c{i}") for label in "ab" for split in ("train", "heldout") for i in range(30)], InputError,
         "test documents linked to training ones"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_or_asked_is_refused(monkeypatch, documents, error, fault):
    with pytest.raises(error, match=fault):
        choose(monkeypatch, documents)


def test_rows_are_kept_per_labels(task, tmp_path):
    run = tmp_path / "ws" / "analysis" / "study" / "runs" / "full-0"
    run.mkdir(parents=True)
    predicted = task.test.label.copy()
    predicted[:20] = 1 - predicted[:20]
    rows = score_rows(task, predicted, "run", 0)
    assert rows[0]["accuracy"] == 0.75
    assert rows[0]["chance"] == max(np.bincount(task.test.label)) / 80
    assert [row["class"] for row in rows] == [None, "a", "b"]
    _save(run, rows)
    _save(run, [{**row, "task": "other"} for row in rows])
    _save(run, score_rows(task, task.test.label, "run", 0))
    kept = records.read_table(run / "finetune_scores.parquet", "finetune_scores").to_pylist()
    assert [(row["task"], row["accuracy"]) for row in kept if row["class"] is None] == [("other", 0.75), ("toy", 1.0)]
    assert {(row["design_id"], row["run_id"]) for row in kept} == {("study", "full-0")}
    text = format_finetuned("full-0", task, [*rows, *score_rows(task, task.test.label, "run", 1)])
    assert "0.875 ± 0.177" in text
    assert json.dumps(rows)
