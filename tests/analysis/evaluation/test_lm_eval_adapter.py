"""lm-eval as the oracle: its own split of tokens over plain logits, and our adapter, against our scorer; offline."""

import math

import numpy as np
import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.api.model import TemplateLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tokenizers import processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from analysis.evaluation.lm_eval_adapter import MixtraceLM, write_task
from analysis.evaluation.minimal_pairs import pair_items
from analysis.evaluation.text_items import TextItem, TextScorer, score_text_items
from analysis.evaluation.text_scorers import hf_scorer
from analysis.models.hf_import import load_hf
from pipelines.contracts.errors import ConfigError
from tests.analysis.toy import byte_bpe

WORDS = [
    "the",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "under",
    "a",
    "mat",
    "tree",
    "and",
    "then",
    "it",
    "saw",
    "über",
    "naïve",
    "猫",
    "在",
    "树",
    "下",
]
VOCAB = 320


def _items(n=20):
    rng = np.random.default_rng(3)

    def text(size):
        return " ".join(rng.choice(WORDS, size))

    return [
        TextItem("toy", str(i), str(i), "toy", text(rng.integers(2, 12)),
                 tuple(text(rng.integers(1, 5)) for _ in range(3)), int(rng.integers(3)))
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small random Llama; its tokenizer writes BOS, so that lm-eval's own model starts texts as ours do."""
    folder = tmp_path_factory.mktemp("llama")
    made = byte_bpe([" ".join(WORDS)] * 5, "<s>", VOCAB)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<s>").save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.5, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def scorer(folder):
    return hf_scorer(load_hf(folder))


class Theirs(TemplateLM):
    """lm-eval's base class, which splits the tokens, over the logits of `transformers`, one text at a time.

    Its `hf` model needs `accelerate`; what it computes beyond this is batching.
    """

    backend = "causal"
    eot_token_id = 0

    def __init__(self, model, tokenizer):
        super().__init__()
        self._model, self._tokenizer = model, tokenizer

    def tok_encode(self, string, add_special_tokens=None, **_):
        return self._tokenizer(string)["input_ids"]  # writes BOS

    def _loglikelihood_tokens(self, requests, disable_tqdm=False, **_):
        return [self._one(context, asked) for _, context, asked in requests]

    def _one(self, context, asked):
        row = [*context, *asked][-65:]
        with torch.no_grad():
            logits = self._model(torch.tensor([row[:-1]])).logits[0, -len(asked) :].double()
        logp = logits.log_softmax(-1)[range(len(asked)), asked].sum()
        return float(logp), logits.argmax(-1).tolist() == list(asked)

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        ids = [self._tokenizer(request.args[0], add_special_tokens=False)["input_ids"] for request in requests]
        windows = [map(make_disjoint_window, get_rolling_token_windows(one, 0, 64, 1)) for one in ids]
        return [sum(self._one(*pair)[0] for pair in some) for some in windows]

    def generate_until(self, requests, disable_tqdm=False):
        pytest.fail("no task of these tests generates text")


@pytest.fixture(scope="module")
def theirs(scorer):
    return Theirs(scorer.model.model, scorer.model.tokenizer)


def _evaluate(model, task, tasks):
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    found = simple_evaluate(model=model, tasks=[task], task_manager=manager, bootstrap_iters=0)
    samples = sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
    nats = [[-response[0][0] for response in sample["resps"]] for sample in samples]
    scores = found["results"][task]
    return nats, {name: scores[f"{name},none"] for name in ("acc", "acc_bytes")}


@pytest.mark.parametrize("items", [_items(), pair_items("en", 1), pair_items("zh", 1)], ids=["toy", "en", "zh"])
def test_our_scorer_our_adapter_and_lm_eval_give_the_same_numbers(scorer, theirs, tmp_path, items):
    write_task(items, tmp_path)
    task = items[0].task
    rows = score_text_items(scorer, items).to_pylist()
    assert len(rows) == len(items)
    for model in (MixtraceLM(scorer=scorer), theirs):
        nats, scores = _evaluate(model, task, tmp_path)
        for item, row, mine in zip(items, rows, nats, strict=True):
            gold, others = mine[item.gold], np.delete(mine, item.gold)
            assert row["gold_nats"] == pytest.approx(gold, abs=1e-4)
            assert row["margin_nats"] == pytest.approx(others.min() - gold, abs=2e-4)
            bpb = [n / len(c.encode()) / math.log(2) for n, c in zip(mine, item.choices, strict=True)]
            assert row["margin_bpb"] == pytest.approx(np.delete(bpb, item.gold).min() - bpb[item.gold], abs=1e-4)
        assert scores["acc"] == pytest.approx(np.mean([row["correct"] for row in rows]))
        assert scores["acc_bytes"] == pytest.approx(np.mean([row["correct_per_byte"] for row in rows]))


class _Request:
    def __init__(self, *args):
        self.args = args


def test_single_requests_and_whole_texts_are_scored_as_lm_eval_does(scorer, theirs):
    ours = MixtraceLM(scorer=scorer)
    pairs = [_Request("the cat sat ", "on"), _Request("a", " tree 猫"), _Request("the " * 80, "mat")]
    tokens = scorer.likeliest(np.array([[0, *scorer.encode("the dog")]]))[0]
    pairs.append(_Request("the dog", scorer.model.tokenizer.decode([tokens[-1]])))  # greedy, if it is text
    for mine, other in zip(ours.loglikelihood(pairs), theirs.loglikelihood(pairs, disable_tqdm=True), strict=True):
        assert mine[0] == pytest.approx(other[0], abs=1e-4)
        assert mine[1] == other[1]
    texts = [_Request("the cat"), _Request("under a tree " * 60)]
    rolled = theirs.loglikelihood_rolling(texts, disable_tqdm=True)
    assert ours.loglikelihood_rolling(texts) == pytest.approx(rolled, abs=1e-3, rel=1e-6)


def test_a_cloze_is_right_where_it_is_written_greedily(scorer):
    context = "the cat sat on"
    best = int(scorer.likeliest(np.array([[0, *scorer.encode(context)]]))[0, -1])

    class Ids:
        """Writes the best token, or another, whatever it spells."""

        def __call__(self, text):
            ids = scorer.encode(context).tolist()
            return np.array(ids + ([best] if text.endswith("+") else [best - 1] if text.endswith("-") else []))

    made = TextScorer(scorer.model, Ids(), 0, 64, likeliest=scorer.likeliest)
    items = [TextItem("cloze", c, c, "cloze", context, (c,), 0) for c in "+-"]
    rows = score_text_items(made, items).to_pylist()
    assert [row["correct"] for row in rows] == [True, False]
    assert [row["margin_nats"] for row in rows] == [None, None]
    blind = TextScorer(scorer.model, Ids(), 0, 64)
    assert [row["correct"] for row in score_text_items(blind, items).to_pylist()] == [None, None]
    with pytest.raises(ConfigError, match="cannot tell its likeliest token"):
        MixtraceLM(scorer=blind)


def test_items_beyond_the_context_are_left_out(scorer):
    long = TextItem("toy", "long", "long", "toy", "the", ("cat " * 90, "dog"), 0)
    assert score_text_items(scorer, [*_items(2), long]).num_rows == 2


def test_a_tie_is_not_right(scorer):
    (row,) = score_text_items(scorer, [TextItem("toy", "0", "0", "toy", "the", ("cat", "cat"), 0)]).to_pylist()
    assert (row["margin_nats"], row["correct"], row["correct_per_byte"]) == (0, False, False)


def test_what_cannot_be_done_is_refused(scorer, tmp_path):
    with pytest.raises(ConfigError, match="does not generate"):
        MixtraceLM(scorer=scorer).generate_until([])
    with pytest.raises(ConfigError, match="no model"):
        MixtraceLM()
    with pytest.raises(ConfigError, match="unknown arguments: got pretrained"):
        MixtraceLM(scorer=scorer, pretrained="x")
    with pytest.raises(ConfigError, match="not one multiple-choice task"):
        write_task([TextItem("cloze", "0", "0", "cloze", "a", ("b",), 0)], tmp_path)
