"""What holds for every torch proxy; each model's own oracle is in its own file."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from analysis.models import MODELS, require_causal
from analysis.models.neural import TorchLogProb, build, export, initialise, load
from analysis.models.sizes import SIZES
from analysis.training.optimizer import build_optimizer, learning_rate
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.toy import ToyStream, small_proxy

NEURAL = [name for name, kind in MODELS.items() if kind.neural]
CAUSAL = [name for name in NEURAL if MODELS[name].likelihood == "causal"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _model(name, **changes):
    model = build(small_proxy(model=name, **changes))
    initialise(model, 3)
    return model


def _ids(*shape, seed=1):
    return torch.randint(0, 64, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", NEURAL)
def test_parameters_are_as_the_formula_says(name, tied):
    if name == "bert" and not tied:
        with pytest.raises(ValueError, match="the head of a BERT is its embedding"):
            small_proxy(model=name, tied=False)
        return
    model = _model(name, tied=tied, layers=3, context=20, window=5)
    size = model.proxy.size
    assert size.parameters == sum(p.numel() for p in model.parameters())
    outside = ("embed", "lm_head", "predictions.bias", "predictions.decoder")
    body = sum(p.numel() for n, p in model.named_parameters() if not any(word in n for word in outside))
    if name == "bert":  # the norm after the embeddings belongs to the body
        body += 2 * model.proxy.d_model
    assert size.body_parameters == body


@pytest.mark.parametrize("name", NEURAL)
def test_flops_are_as_counted(name):
    """Torch's own counter over forward and backward of one batch."""
    model = _model(name, layers=3, context=20, window=5)
    proxy = model.proxy
    rows = _ids(proxy.batch, proxy.context + 1)
    with FlopCounterMode(display=False) as counter:
        model.double().loss(rows).backward()  # oneDNN has no float64, so an LSTM is products that can be counted
    counted = counter.get_total_flops() / rows[:, 1:].numel()
    # We count half of a causal T x T product, the counter all of it.
    masked_half = 6 * proxy.layers * proxy.context * proxy.d_model if name == "llama" else 0
    # An LSTM's first state is 0 and has no gradient: one product less in each layer of each row.
    first = 2 * proxy.layers * 4 * proxy.d_model**2 / proxy.context if name == "lstm" else 0
    assert proxy.flops_per_token == pytest.approx(counted - masked_half + first, abs=1)


@pytest.mark.parametrize("name", CAUSAL)
def test_no_token_sees_a_later_one(name):
    model, ids = _model(name), _ids(2, 16)
    changed = ids.clone()
    changed[:, 9:] = (changed[:, 9:] + 5) % 64
    with torch.no_grad():
        before, after = model(ids), model(changed)
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("name", CAUSAL)
def test_logp_is_the_log_softmax_of_the_logits(name):
    model = _model(name, batch=4, dropout=0.3)
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 64, (7, 17)), rng.random((7, 16)) < 0.7  # 7 rows: the last batch is padded
    got = TorchLogProb(model).logp(ids, mask)
    assert model.training
    with torch.no_grad():
        logp = model.eval()(torch.from_numpy(ids[:, :-1])).log_softmax(-1)
    want = logp.gather(-1, torch.from_numpy(ids[:, 1:, None])).squeeze(-1).numpy()
    np.testing.assert_allclose(got[mask], want[mask], atol=1e-5)
    assert (got[~mask] == 0).all()
    assert got.dtype == np.float64


@pytest.mark.parametrize("name", NEURAL)
def test_initial_weights_depend_on_the_seed_only(name):
    model = _model(name, vocab_size=512, d_model=128, layers=2)
    first = {n: p.clone() for n, p in model.named_parameters()}
    for ending, std in [(e, 0.1) for e in model.EMBEDDINGS] + [(e, 128**-0.5 / 2) for e in model.RESIDUAL]:
        drawn = [p.std().item() for n, p in first.items() if n.endswith(ending) and p.numel() > 10_000]
        assert drawn == pytest.approx([std] * len(drawn), rel=0.03)
        assert drawn
    initialise(model, 2)
    assert not all(torch.equal(first[n], p) for n, p in model.named_parameters())
    initialise(model, 3)
    assert all(torch.equal(first[n], p) for n, p in model.named_parameters())


@pytest.mark.parametrize("name", NEURAL)
def test_dropout_changes_training_only(name):
    model, rows = _model(name, dropout=0.5), _ids(4, 17)
    torch.manual_seed(1)
    first = model.loss(rows)
    assert model.loss(rows) != first
    torch.manual_seed(1)
    assert torch.equal(model.loss(rows), first)
    model.eval()
    assert torch.equal(model.nats(rows), model.nats(rows))


LEARNERS = {
    "feedforward": {},
    "lstm": {"d_model": 32, "lr": 1e-2},
    "llama": {},
    "bert": {"d_model": 64, "layers": 1, "lr": 4e-3, "batch": 16, "mask_share": 0.3},  # asked for few tokens: slow
}


@pytest.mark.parametrize("name", NEURAL)
def test_learns_structure(name):
    model = _model(name, **LEARNERS[name])
    proxy = model.proxy
    held, mask = ToyStream(32, 16, seed=2).slots_tokens(0, 32), np.ones((32, 16), bool)
    assert -TorchLogProb(model).logp(held, mask).mean() > math.log(64) - 0.05
    optimizer = build_optimizer(model, proxy)
    rows = torch.from_numpy(ToyStream(1024, 16, seed=1).slots_tokens(0, 1024))
    torch.manual_seed(0)
    steps = 1024 // proxy.batch * (5 if name == "bert" else 1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(proxy, step, steps)
        optimizer.zero_grad()
        start = step * proxy.batch % 1024
        model.loss(rows[start : start + proxy.batch]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), proxy.clip)
        optimizer.step()
    assert -TorchLogProb(model).logp(held, mask).mean() < math.log(64) - 0.5


@pytest.mark.parametrize("name", NEURAL)
def test_export_and_load_keep_every_bit(name, tmp_path):
    model = _model(name)
    export(model, tmp_path)
    for again in (load(tmp_path), load(tmp_path, model.proxy)):
        assert again.proxy == model.proxy
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {**model.config(), "mixtrace_proxy": model.proxy.model_dump()}


def test_weights_of_another_run_are_refused(tmp_path):
    model = _model("llama")
    export(model, tmp_path)
    with pytest.raises(
        InputError, match=r"weights of another proxy: got \{'d_model': 16\}; expected \{'d_model': 32\}"
    ):
        load(tmp_path, small_proxy(d_model=32))
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(3)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"another shape: got \{'model.norm.weight': \[3\]\}; expected .*\[16\]"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:200])
    with pytest.raises(InputError, match="no readable weights"):
        load(tmp_path)
    with pytest.raises(InputError, match="not the folder of a model of ours"):
        load(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not the folder of a model of ours: got KeyError 'mixtrace_proxy'"):
        load(tmp_path)


def test_rows_that_a_model_cannot_take_are_refused():
    scorer = TorchLogProb(_model("llama"))
    with pytest.raises(InputError, match=r"longer than the model's context: got 20; expected <= 16 tokens"):
        scorer.logp(np.zeros((1, 21), np.int64), np.ones((1, 20), bool))
    with pytest.raises(InputError, match=r"outside the model's vocabulary: got 0 to 64; expected 0 to 63"):
        scorer.logp(np.array([[0, 64]]), np.ones((1, 1), bool))


def test_pseudo_likelihoods_are_never_ranked():
    require_causal(["ngram", "llama"], "ranking")
    with pytest.raises(ConfigError, match="ranking: pseudo-perplexity cannot be ranked beside perplexity: got bert"):
        require_causal(["llama", "bert"], "ranking")
    assert small_proxy(model="bert").likelihood == "pseudo"
    assert set(SIZES) == set(NEURAL)
