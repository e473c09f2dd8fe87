"""A classifier is the same bytes every time, never sees what it is measured on, and its card tells everything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import beam_runner
from analysis.quality.classifier import Training, make_examples
from analysis.quality.texts import SCHEMA, Chosen
from analysis.statistics.classification import roc_auc
from pipelines.contracts.errors import ConfigError, InputError
from pipelines.kernels.text_classifier import TextClassifier
from tests.data.sentences import Writer


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(
        beam_runner.app, ["classifier", "train", *arguments], catch_exceptions=False, standalone_mode=False
    )
    return json.loads((Path(result.output.splitlines()[-1]) / "card.json").read_bytes())


CLASSES = ("--positive", "lang = 'de'", "--negative", "lang IN ('en', 'fr')", "--min-heldout", "5")


@pytest.fixture(scope="module")
def trained(workspace: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("classifier")
    return out, run(workspace, *CLASSES, "--out", str(out))


def chosen(texts: dict[str, str], groups: dict[str, str] | None = None) -> Chosen:
    rows = [(key, "s", "en", (groups or {}).get(key, key), text) for key, text in sorted(texts.items())]
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)
    return Chosen(table, {"found": len(rows), "unreadable": 0, "empty": 0, "over_limit": 0})


def test_the_same_inputs_give_the_same_bytes(trained: tuple[Path, dict], workspace: str, tmp_path: Path) -> None:
    first, _ = trained
    run(workspace, *CLASSES, "--out", str(tmp_path))
    names = ["card.json", "card.md", "heldout.parquet", "model.bin"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (first / name).read_bytes()


def test_the_card_says_what_the_files_hold(trained: tuple[Path, dict]) -> None:
    out, card = trained
    assert card["model"]["sha256"] == hashlib.sha256((out / "model.bin").read_bytes()).hexdigest()
    for name, body in card["classes"].items():
        counts = dict(body["counts"])
        assert counts.pop("found") == sum(counts.values()), name
        assert sum(body["sources"].values()) == counts["train"] + counts["heldout"]
    heldout = pq.read_table(out / "heldout.parquet")
    positive, probability = np.asarray(heldout["positive"]), np.asarray(heldout["probability"])
    assert card["metrics"]["roc_auc"] == roc_auc(positive, probability) > 0.99
    assert card["metrics"]["heldout"]["positive"] == positive.sum() == card["classes"]["positive"]["counts"]["heldout"]
    assert card["classes"]["positive"]["inputs"][0]["where"] == "lang = 'de'"
    page = (out / "card.md").read_text()
    assert card["model"]["sha256"] in page
    assert "lang IN ('en', 'fr')" in page


def test_the_model_scores_new_texts(trained: tuple[Path, dict]) -> None:
    model = TextClassifier(str(trained[0] / "model.bin"))
    writer = Writer(99)
    texts = pa.array([writer.document(language, 8) for language in ("de", "en", "de")])
    scores = model.probability(texts, "__label__positive")
    assert scores[0] > 0.5 > scores[1]
    assert np.allclose(scores + model.probability(texts, "__label__negative"), 1, atol=3e-5)
    with pytest.raises(ConfigError, match="Did you mean '__label__positive'"):
        model.probability(texts, "__label__positiv")


def test_groups_are_held_out_whole_even_across_classes() -> None:
    writer = Writer(1)
    texts = {f"{side}{n:03d}": writer.sentence("en") for side in "ab" for n in range(300)}
    groups = {key: str(int(key[1:]) // 5) for key in texts}
    positive, negative = (chosen({k: t for k, t in texts.items() if k[0] == side}, groups) for side in "ab")
    examples = make_examples(positive, negative, Training(balance="none"))
    rows = examples.table.to_pylist()
    assert len(rows) == 600
    sides = {}
    for row in rows:
        sides.setdefault(row["group"], set()).add(row["heldout"])
    assert all(len(side) == 1 for side in sides.values())
    assert 60 < sum(row["heldout"] for row in rows) < 180
    assert [row["positive"] for row in rows] != sorted([row["positive"] for row in rows], reverse=True)


def test_the_larger_class_is_taken_down_in_training_only() -> None:
    writer = Writer(2)
    positive = chosen({f"p{n}": writer.sentence("en") for n in range(150)})
    negative = chosen({f"n{n}": writer.sentence("en") for n in range(600)})
    free = make_examples(positive, negative, Training())
    level = make_examples(positive, negative, Training(balance="downsample"))
    assert level.counts["positive"]["train"] == level.counts["negative"]["train"] == free.counts["positive"]["train"]
    assert level.counts["negative"]["heldout"] == free.counts["negative"]["heldout"]
    assert (
        level.counts["negative"]["unbalanced"] == free.counts["negative"]["train"] - level.counts["negative"]["train"]
    )
    assert level.part(heldout=False).num_rows == 2 * level.counts["positive"]["train"]


def test_repeats_and_shared_texts() -> None:
    writer = Writer(3)
    same = "one text\nin both"
    positive = {f"p{n}": writer.sentence("en") for n in range(200)} | {"p_same": same, "p_again": "one text in both"}
    negative = {f"n{n}": writer.sentence("en") for n in range(200)} | {"n_same": same, "n_blank": "__label__x </s>"}
    with pytest.raises(ConfigError, match="1 texts in both classes: got p_again"):
        make_examples(chosen(positive), chosen(negative), Training())
    examples = make_examples(chosen(positive), chosen(negative), Training(drop_shared=True))
    assert examples.counts["positive"]["repeated"] == examples.counts["negative"]["repeated"] == 1
    assert examples.counts["positive"]["shared"] == examples.counts["negative"]["shared"] == 1
    assert not [key for key in examples.table["key"].to_pylist() if "_" in key]


def test_too_few_held_out_texts_are_refused() -> None:
    texts = [chosen({f"{side}{n}": f"{side} {n}" for n in range(30)}) for side in "ab"]
    with pytest.raises(InputError, match="too few held-out texts"):
        make_examples(*texts, Training())
