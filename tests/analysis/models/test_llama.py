import math

import numpy as np
import pytest
import torch

from analysis.models.llama import Llama
from analysis.models.neural import TorchLogProb, export, initialise, weights
from tests.analysis.toy import small_proxy


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _model(**changes):
    model = Llama(small_proxy(**changes))
    initialise(model, 3)
    return model


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_gives_the_same_logits(tmp_path, tied):
    from transformers import AutoModelForCausalLM

    model = _model(tied=tied, heads=4, d_model=32, rope_theta=5000.0)
    export(model, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.randint(0, 64, (3, 16), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (theirs(ids).logits - model(ids)).abs().max() <= 1e-4
    assert {n for n, _ in theirs.named_parameters()} == set(weights(model))


def test_initialise_has_the_stated_spread_and_depends_on_the_seed_only():
    proxy = small_proxy(vocab_size=512, d_model=128, embedding_std=0.1)
    model = Llama(proxy)
    initialise(model, 1)
    first = {n: p.clone() for n, p in model.named_parameters()}
    assert first["model.embed_tokens.weight"].std().item() == pytest.approx(0.1, rel=0.03)
    for name, scale in (("self_attn.q_proj", 1.0), ("self_attn.o_proj", 0.5), ("mlp.down_proj", 0.5)):
        std = first[f"model.layers.1.{name}.weight"].std().item()
        assert std == pytest.approx(128**-0.5 * scale, rel=0.03)  # (2 · 2 layers)^-.5 = .5
    initialise(model, 2)
    assert not torch.equal(first["model.embed_tokens.weight"], model.model.embed_tokens.weight)
    initialise(model, 1)
    assert all(torch.equal(first[n], p) for n, p in model.named_parameters())


def test_untrained_model_is_near_uniform():
    model = _model(embedding_std=1e-3)
    ids = np.random.default_rng(0).integers(0, 64, (4, 17))
    nats = -TorchLogProb(model).logp(ids, np.ones((4, 16), bool)).mean()
    assert nats == pytest.approx(math.log(64), abs=0.05)
