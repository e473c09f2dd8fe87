"""BLEU and ROUGE against direct calls of the libraries on real text, and prompts cut where documents go on."""

import json
from pydoc_data.topics import topics

import numpy as np
import pytest
import sacrebleu
from rouge_score import rouge_scorer

from analysis import records
from analysis.data import HeldOut
from analysis.evaluation.generate_command import run_generate
from analysis.evaluation.generation import Sampling
from analysis.evaluation.samples import heldout_prompts, sample_rows, score_samples
from analysis.evaluation.text_generators import open_generator
from analysis.evaluation.text_overlap import overlap, text_units
from pipelines.contracts.errors import ConfigError
from tests.analysis.evaluation.runs import run_folder

CHINESE = ["我们从小就知道，读书是一件好事。", "他昨天晚上在图书馆看书看到很晚。", "这本书的质量还不错，孩子非常喜欢！", "火车站离这里不远，走路十分钟就到了。"]  # fmt: skip


@pytest.fixture(scope="module")
def english():
    """Sentences of the documentation of Python, and the same with words left out and repeated."""
    words = " ".join(topics.values()).split()
    real = [" ".join(words[at : at + 25]) for at in range(2000, 6000, 40)]
    rng = np.random.default_rng(1)
    spoiled = [" ".join(word for word in text.split() if rng.random() < 0.8) + " and so on." for text in real]
    return spoiled, real


def test_words_are_compared_as_sacrebleu_and_rouge_score_do(english):
    written, there = english
    found = overlap(written, there)
    assert found.units == "words"
    assert found.bleu == pytest.approx(sacrebleu.corpus_bleu(written, [there], tokenize="13a").score, abs=1e-9)
    assert "tok:13a" in found.signature
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    each = [scorer.score(target=a, prediction=b) for a, b in zip(there, written, strict=True)]
    for name in ("rouge1", "rouge2", "rougeL"):
        mean = float(np.mean([one[name].fmeasure for one in each]))
        assert getattr(found, name) == pytest.approx(mean, abs=1e-9)
        assert 0.3 < mean < 1
    same = overlap(there, there)
    assert (same.bleu, same.rouge1, same.rouge2, same.rougeL) == pytest.approx((100, 1, 1, 1))


def test_characters_are_compared_where_no_spaces_are_written():
    written = [text[:5] + "很" + text[7:] for text in CHINESE]
    found = overlap(written, CHINESE)
    assert found.units == "characters"
    assert found.bleu == pytest.approx(sacrebleu.corpus_bleu(written, [CHINESE], tokenize="char").score, abs=1e-9)
    # rouge-score knows letters of English only: the same characters, each as a word that it knows
    names = {c: f"c{ord(c)}" for text in (*written, *CHINESE) for c in text}
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    each = [
        scorer.score(" ".join(names[c] for c in there), " ".join(names[c] for c in mine))
        for there, mine in zip(CHINESE, written, strict=True)
    ]
    for name in ("rouge1", "rouge2", "rougeL"):
        assert getattr(found, name) == pytest.approx(np.mean([one[name].fmeasure for one in each]), abs=1e-9)


@pytest.mark.parametrize(
    ("texts", "units"),
    [(["def f(x): return x"], "words"), (["他说 hello"], "words"), (["他说了 ok"], "characters"), (["ภาษาไทย"], "characters"), ([""], "words")],
)  # fmt: skip
def test_the_script_of_most_letters_decides(texts, units):
    assert text_units(texts) == units


def test_nothing_to_compare_is_refused():
    with pytest.raises(ConfigError, match="nothing to compare"):
        overlap([], [])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("workspace"))


def _heldout(model, texts, components, target="mine"):
    ids = [model.encode(text) for text in texts]
    offsets = np.cumsum([0, *map(len, ids)])
    names = np.array([f"d{index}" for index in range(len(texts))])
    sizes = np.array([len(text.encode()) for text in texts])
    return HeldOut(target, "kept", np.concatenate(ids), offsets, sizes, np.array(components), names)


def test_prompts_are_beginnings_and_references_what_follows(run):
    model = open_generator(run)
    texts = ["the cat sat on the mat and then it ran away " * 4, "short", "the same component " * 9, "".join(CHINESE)]
    heldout = _heldout(model, texts, ["a", "b", "a", "c"])
    prompts = heldout_prompts(model, heldout, texts, 9, 11, 13)
    assert [prompt.doc_id for prompt in prompts] == ["d0", "d3"]
    for prompt, text in zip(prompts, (texts[0], texts[3]), strict=True):
        assert text.startswith(prompt.text + prompt.reference)
        assert prompt.text
        assert prompt.reference
        assert "\ufffd" not in prompt.text + prompt.reference
        assert len(model.encode(prompt.text)) <= 11
    assert len(heldout_prompts(model, heldout, texts, 1, 11, 13)) == 1
    rows = sample_rows(model, prompts, Sampling(13))
    scores = score_samples([rows[0], {**rows[1], "target": "other"}])
    assert [(row["target"], row["samples"], row["units"]) for row in scores] == [("mine", 1, "words"), ("other", 1, "characters")]  # fmt: skip
    assert not any(row["decision_grade"] for row in scores)


def test_the_command_continues_prompts(run, capsys):
    run_generate(run, ["the cat", "a\ndog"], 1, Sampling(5))
    text = capsys.readouterr().out
    assert text.startswith("full-0, greedy\n")
    assert "given  a⏎dog" in text
    run_generate(run, ["the cat"], 1, Sampling(5, temperature=0.5, top_p=0.9, seed=3), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["sampling"] == "temperature 0.5, top-p 0.9, seed 3"
    assert found["samples"][0]["prompt"] == "the cat"
    with pytest.raises(ConfigError, match="nothing that a report shows"):
        run_generate(run, ["the cat"], 1, Sampling(5), save=True)


def test_tables_of_samples_hold_what_the_command_writes(run):
    model = open_generator(run)
    texts = ["the cat sat on the mat and then it ran away " * 4]
    rows = sample_rows(model, heldout_prompts(model, _heldout(model, texts, ["a"]), texts, 1, 5, 5), Sampling(5))
    labels = {"design_id": "d", "run_id": "full-0"}
    for name, table in (("samples", rows), ("sample_scores", score_samples(rows))):
        assert set(records.TABLES[name].names) == {*labels, *table[0]}
