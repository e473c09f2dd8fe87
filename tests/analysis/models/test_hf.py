"""Models of others through `HfLogProb`; whole folders in and out are tested with a study (`test_study`)."""

import json

import numpy as np
import pytest
import torch
from tokenizers import normalizers
from transformers import (
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from analysis.evaluation.perplexity import cut_windows
from analysis.models.hf_import import NOTHING, load_hf
from pipelines.contracts.errors import ConfigError, InputError, ResourceError
from tests.analysis.toy import byte_bpe

TEXTS = ["The cat sat on the mat, and the cat saw a bat.", "Über 中文 and <|end|> too", "x"] * 3
VOCAB = 300


def _tokenizer(**names):
    """A byte-level BPE as GPT-2 has it."""
    return PreTrainedTokenizerFast(tokenizer_object=byte_bpe(TEXTS, "<|end|>", VOCAB), **names)


def _gpt2(folder, vocab=VOCAB, **names):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocab, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    _tokenizer(**(names or {"eos_token": "<|end|>"})).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return _gpt2(tmp_path_factory.mktemp("gpt2"))


def _document_nats(scorer, texts):
    found = scorer.encode(texts)
    windows = cut_windows(found.ids, found.offsets, scorer.context, scorer.start_id)
    return found, -np.bincount(windows.document, scorer.logp(windows.rows, windows.mask).sum(1), len(texts))


def _slow_nats(scorer, text, start):
    """One window after another, token by token."""
    ids = scorer.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    total = 0.0
    for first in range(0, len(ids), scorer.context):
        before = ([start] if start != NOTHING else []) if first == 0 else [ids[first - 1]]
        row = before + ids[first : first + scorer.context]
        if len(row) == 1:
            continue
        with torch.no_grad():
            logp = scorer.model(torch.tensor([row[:-1]])).logits[0].double().log_softmax(-1)
        total -= sum(logp[at, row[at + 1]].item() for at in range(len(row) - 1))
    return total


def test_documents_are_scored_with_the_models_own_tokens(gpt2):
    scorer = load_hf(gpt2)
    assert (scorer.context, scorer.start_id) == (32, 0)
    texts = [*TEXTS, " ".join(TEXTS)]
    found, nats = _document_nats(scorer, texts)
    assert found.lossless.all()
    assert found.n_bytes.tolist() == [len(text.encode()) for text in texts]
    assert 0 not in found.ids  # "<|end|>" in a text is text
    np.testing.assert_allclose(nats, [_slow_nats(scorer, text, 0) for text in texts], rtol=1e-5)


def test_a_short_context_gives_the_windows_of_a_proxy(gpt2):
    scorer = load_hf(gpt2, context=5)
    _, nats = _document_nats(scorer, TEXTS)
    np.testing.assert_allclose(nats, [_slow_nats(scorer, text, 0) for text in TEXTS], rtol=1e-5)


def test_without_a_start_token_the_first_token_is_given(tmp_path):
    scorer = load_hf(_gpt2(tmp_path, unk_token="<|end|>"))
    assert scorer.start_id == NOTHING
    found, nats = _document_nats(scorer, TEXTS)
    first = [scorer.tokenizer.decode(found.ids[at]) for at in found.offsets[:-1]]
    assert found.n_bytes.tolist() == [len(t.encode()) - len(f.encode()) for t, f in zip(TEXTS, first, strict=True)]
    np.testing.assert_allclose(nats, [_slow_nats(scorer, text, NOTHING) for text in TEXTS], rtol=1e-5, atol=1e-9)
    assert nats[2] == 0


def test_bos_comes_before_eos(tmp_path):
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    _tokenizer(bos_token="!", eos_token="<|end|>").save_pretrained(tmp_path)
    scorer = load_hf(tmp_path)
    assert scorer.start_id == scorer.tokenizer.convert_tokens_to_ids("!") != 0
    assert scorer.context == 1024  # what a table of models shares, unless asked otherwise
    assert load_hf(tmp_path, context=2048).context == 2048
    _, nats = _document_nats(scorer, TEXTS)
    np.testing.assert_allclose(nats, [_slow_nats(scorer, text, scorer.start_id) for text in TEXTS], rtol=1e-5)


def test_a_tokenizer_that_loses_text_is_noticed(tmp_path):
    _gpt2(tmp_path)
    tokenizer = _tokenizer(eos_token="<|end|>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.save_pretrained(tmp_path)
    assert load_hf(tmp_path).encode(["ABC", "abc"]).lossless.tolist() == [False, True]


def test_wrong_models_are_refused_with_what_was_expected(tmp_path, gpt2):
    with pytest.raises(ConfigError, match="longer than the model's context: got 33; expected <= 32 of"):
        load_hf(gpt2, context=33)
    with pytest.raises(InputError, match=r"no model: got .*No such file"):
        load_hf(tmp_path)
    small = _gpt2(tmp_path / "small", vocab=200)
    with pytest.raises(InputError, match=r"the tokenizer is not the model's: got 29\d tokens; expected <= 200"):
        load_hf(small)
    config = json.loads((gpt2 / "config.json").read_text())
    broken = _gpt2(tmp_path / "broken")
    (broken / "config.json").write_text(json.dumps({**config, "n_layer": 3}))
    with pytest.raises(InputError, match=r"weights do not fit config.json: got no transformer.h.2"):
        load_hf(broken)
    (broken / "model.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match="not a model that transformers can open"):
        load_hf(broken)
    with pytest.raises(InputError, match="outside the model's vocabulary"):
        load_hf(gpt2).logp(np.array([[0, VOCAB]]), np.ones((1, 1), bool))


def test_models_that_are_not_causal_are_refused(tmp_path):
    config = BertConfig(
        vocab_size=VOCAB, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertLMHeadModel(config).save_pretrained(tmp_path)
    _tokenizer(eos_token="<|end|>").save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="not a causal language model: got logits that depend on later tokens"):
        load_hf(tmp_path)
    body = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**body, "architectures": ["BertForMaskedLM"]}))
    with pytest.raises(ConfigError, match="not a causal language model: got BertForMaskedLM; expected"):
        load_hf(tmp_path)


def test_a_device_out_of_memory_scores_fewer_rows_at_a_time(gpt2, monkeypatch):
    scorer = load_hf(gpt2)
    ids = np.random.default_rng(0).integers(1, VOCAB - 40, (7, 12))
    mask = np.ones((7, 11), bool)
    expected, whole = scorer.logp(ids, mask), scorer._logp
    sizes = []

    def small(most):
        def logp(rows):
            sizes.append(len(rows))
            if len(rows) > most:
                raise torch.OutOfMemoryError("CUDA out of memory.\nmore")
            return whole(rows)

        return logp

    monkeypatch.setattr(scorer, "_logp", small(2))
    np.testing.assert_allclose(scorer.logp(ids, mask), expected, atol=1e-5)
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    monkeypatch.setattr(scorer, "_logp", small(0))
    with pytest.raises(
        ResourceError, match=r"out of memory: CUDA out of memory.: got 1 row of 11 tokens, vocabulary 300"
    ):
        scorer.logp(ids, mask)
