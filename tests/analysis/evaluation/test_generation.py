"""Generation against `transformers`: its warpers, its greedy search; our cache against no cache."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from analysis.evaluation.generation import Sampling, TextGenerator, choose, generate, generate_ids, truncated
from analysis.evaluation.text_generators import cached_steps, hf_generator, open_generator, whole_steps
from analysis.models.hf_export import export_run
from analysis.models.hf_import import load_hf
from analysis.models.llama import Past
from analysis.models.neural import build, initialise
from pipelines.contracts.errors import ConfigError, InputError, ResourceError
from tests.analysis.evaluation.runs import VOCAB, run_folder
from tests.analysis.toy import small_proxy

PROMPTS = ["the cat sat on", "a dog", "猫在树下", ""]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("workspace"), context=32)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export_run(run, folder)
    return folder


@given(
    st.integers(0, 1000), st.floats(0.2, 3), st.integers(0, 12), st.floats(0.05, 1), st.booleans(),
)  # fmt: skip
def test_what_is_drawn_from_is_what_transformers_draws_from(seed, temperature, top_k, top_p, ties):
    logits = np.random.default_rng(seed).normal(0, 2, (3, 9))
    logits = logits.round() if ties else logits
    top_p = 1.0 if ties else top_p  # which of equal tokens go is nobody's promise
    scores = TemperatureLogitsWarper(temperature)(None, torch.from_numpy(logits))
    scores = TopKLogitsWarper(top_k)(None, scores) if top_k else scores
    scores = TopPLogitsWarper(top_p)(None, scores) if top_p < 1 else scores
    found = truncated(logits, Sampling(temperature=temperature, top_k=top_k, top_p=top_p))
    np.testing.assert_allclose(found, scores.softmax(-1).numpy(), atol=1e-12)


def test_draws_have_the_stated_probabilities():
    sampling = Sampling(temperature=0.7, top_k=4)
    logits = np.array([[2.0, 1.0, 0.5, -1.0, -3.0, 0.0]])
    uniforms = (np.arange(20_000) + 0.5) / 20_000
    drawn = choose(np.repeat(logits, 20_000, 0), sampling, uniforms)
    share = np.bincount(drawn, minlength=6) / 20_000
    np.testing.assert_allclose(share, truncated(logits, sampling)[0], atol=1e-4)
    assert share[4] == share[3] == 0
    assert choose(logits, sampling, np.array([np.nextafter(1.0, 0)])) == 5  # the last that can be drawn


@pytest.mark.parametrize("tied", [True, False])
def test_the_cache_changes_no_logits_and_no_token(tied):
    proxy = small_proxy(context=32, tied=tied, embedding_std=1.0)
    model = build(proxy)
    initialise(model, 3)
    model.eval()
    ids = torch.from_numpy(np.random.default_rng(0).integers(1, proxy.vocab_size, (5, 32)))
    past = [Past() for _ in range(proxy.layers)]
    with torch.inference_mode():
        whole = model(ids)
        read = 0
        for size in (7, 1, 1, 3, 1, 19):
            logits = model.next_logits(ids[:, read : read + size], past)
            read += size
            torch.testing.assert_close(logits, whole[:, read - 1], atol=1e-5, rtol=0)
    assert past[0].length == 32
    for sampling in (Sampling(20), Sampling(20, temperature=1.0, seed=4)):
        written = [
            generate_ids(_model(model, begin), ids[:, :9].numpy(), sampling, _draws(5))
            for begin in (cached_steps, whole_steps)
        ]
        assert all(np.array_equal(a, b) for a, b in zip(*written, strict=True))
        assert any(len(one) == 20 for one in written[0])


def _model(model, begin, ends=frozenset([0])):
    none = lambda _: pytest.fail("no text here")  # noqa: E731
    return TextGenerator("toy", none, none, 0, ends, model.proxy.context, lambda: begin(model))


def _draws(n):
    return [np.random.default_rng(index) for index in range(n)]


def test_greedy_is_that_of_transformers_token_for_token(run, exported):
    ours, theirs = open_generator(run), load_hf(exported)
    sampling = Sampling(12)
    for prompt in PROMPTS:
        ids = np.concatenate([[0], ours.encode(prompt)])
        with torch.inference_mode():
            whole = theirs.model.generate(
                torch.from_numpy(ids)[None], max_new_tokens=12, do_sample=False, pad_token_id=0,
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            )  # fmt: skip
        expected = whole[0, len(ids) :].tolist()
        expected = expected[: expected.index(0)] if 0 in expected else expected
        for model in (ours, hf_generator(theirs)):
            (found,) = generate_ids(model, ids[None], sampling, _draws(1))
            assert found.tolist() == expected
    assert generate(ours, PROMPTS, sampling) == generate(hf_generator(theirs), PROMPTS, sampling)


def test_a_prompt_is_continued_the_same_whatever_stands_beside_it(run):
    model = open_generator(run)
    sampling = Sampling(10, temperature=1.0, top_k=50, seed=1)
    together = generate(model, PROMPTS, sampling)
    assert together[0] == generate(model, PROMPTS[:1], sampling)[0]
    assert together == generate(model, PROMPTS, sampling)
    assert together != generate(model, PROMPTS, Sampling(10, temperature=1.0, top_k=50, seed=2))


def test_a_text_ends_before_its_end_token():
    def begin(_):
        turn = iter([[3, 5], [0, 5], [4, 0], [4, 4]])
        return lambda ids: np.eye(6)[next(turn)]

    model = build(small_proxy(context=16))
    found = generate_ids(_model(model, begin), np.array([[1], [1]]), Sampling(4), _draws(2))
    assert [one.tolist() for one in found] == [[3], [5, 5]]


def test_a_long_prompt_loses_its_beginning_and_too_many_tokens_are_refused(run):
    model = open_generator(run)
    long = " ".join(["the cat sat"] * 30)
    tail = model.decode(model.encode(long)[-(model.context - 7) :])
    assert np.array_equal(model.encode(tail), model.encode(long)[-(model.context - 7) :])
    assert generate(model, [long], Sampling(8)) == generate(model, ["x" + long], Sampling(8))
    assert generate(model, [long], Sampling(32))[0] is not None
    with pytest.raises(InputError, match="longer than the model's context: got 33; expected <= 32"):
        generate(model, ["the"], Sampling(33))


@pytest.mark.parametrize("model", ["lstm", "feedforward"])
def test_models_without_a_cache_read_everything_again(tmp_path, model):
    folder = run_folder(tmp_path, model=model)
    found = open_generator(folder)
    ids = np.concatenate([[0], found.encode("the cat")])
    module = build(small_proxy(model=model, vocab_size=VOCAB, context=64))
    initialise(module, 5)
    expected = ids.tolist()
    with torch.inference_mode():
        for _ in range(6):
            expected.append(int(module.eval()(torch.tensor([expected]))[0, -1].argmax()))
    (written,) = generate_ids(found, ids[None], Sampling(6), _draws(1))
    after = expected[len(ids) :]
    assert written.tolist() == (after[: after.index(0)] if 0 in after else after)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"temperature": -1.0}, "temperature"), ({"top_p": 0.0}, "top_p"), ({"top_k": -1}, "top_k"),
        ({"max_new_tokens": 0}, "max_new_tokens"), ({"top_k": 5}, "greedy takes no top-k"),
    ],
)  # fmt: skip
def test_what_cannot_be_sampled_with_is_refused(wrong, fault):
    with pytest.raises(ConfigError, match=fault):
        Sampling(**wrong)


def test_a_device_out_of_memory_continues_fewer_prompts_at_a_time(run):
    model = open_generator(run)
    sizes = []

    def begin(most):
        def steps(ids, inner):
            sizes.append(len(ids))
            if len(ids) > most:
                raise torch.OutOfMemoryError("CUDA out of memory.\nmore")
            return inner(ids)

        def started():
            inner = model.begin()
            return lambda ids: steps(ids, inner)

        return started

    prompts = ["the cat", "the dog", "the man", "the boy", "the girl"]
    sampling = Sampling(4, temperature=1.0)
    expected = generate(model, prompts, sampling)
    assert generate(dataclasses.replace(model, begin=begin(2)), prompts, sampling) == expected
    assert max(sizes) > 2
    with pytest.raises(ResourceError, match=r"full-0: out of memory: CUDA out of memory.: got 1 prompt of"):
        generate(dataclasses.replace(model, begin=begin(0)), prompts, sampling)


def test_another_context_than_the_runs_is_refused(run):
    with pytest.raises(ConfigError, match="not the run's: got 64; expected 32"):
        open_generator(run, context=64)
