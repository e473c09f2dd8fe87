import numpy as np
import pytest
import torch

from analysis.models.bert import Bert
from analysis.models.neural import TorchLogProb, export, initialise, weights
from analysis.models.sizes import masked_tokens
from tests.analysis.toy import small_proxy


def _model(**changes):
    model = Bert(small_proxy(model="bert", **changes))
    initialise(model, 3)
    return model


def _ids(*shape):
    return torch.randint(0, 64, shape, generator=torch.Generator().manual_seed(1))


def test_transformers_gives_the_same_logits(tmp_path):
    from transformers import AutoModelForMaskedLM

    model = _model(heads=4, d_model=32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(len(name)))
    export(model, tmp_path)
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = _ids(3, 17)
    ids[:, 5] = model.mask_id
    with torch.no_grad():
        assert (theirs(ids).logits - model(ids)).abs().max() <= 1e-4
    assert {n for n, _ in theirs.named_parameters()} == set(weights(model))


def test_pseudo_likelihood_masks_one_token_at_a_time():
    """Salazar et al. 2020: the slow way, one row per token."""
    model, rows = _model(pseudo_stride=99), _ids(3, 17)
    got = TorchLogProb(model).logp(rows.numpy(), np.ones((3, 16), bool))
    with torch.no_grad():
        for at in range(1, 17):
            shown = rows.clone()
            shown[:, at] = model.mask_id
            want = model(shown)[:, at].log_softmax(-1).gather(-1, rows[:, at, None]).squeeze(-1)
            np.testing.assert_allclose(got[:, at - 1], want.numpy(), atol=1e-5)


def test_a_stride_masks_every_such_token_at_once():
    model, rows = _model(pseudo_stride=5), _ids(2, 17)
    got = TorchLogProb(model).logp(rows.numpy(), np.ones((2, 16), bool))
    shown = rows.clone()
    shown[:, [3, 8, 13]] = model.mask_id
    with torch.no_grad():
        want = model(shown).log_softmax(-1).gather(-1, rows[..., None]).squeeze(-1)
    np.testing.assert_allclose(got[:, [2, 7, 12]], want[:, [3, 8, 13]].numpy(), atol=1e-5)


def test_no_token_is_scored_with_itself_in_sight():
    """What a token is plays no part in the scores of the others masked with it, nor in what is shown for it."""
    model, rows = _model(pseudo_stride=4), _ids(1, 17)
    changed = rows.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 64
    with torch.no_grad():
        before, after = model.nats(rows)[0], model.nats(changed)[0]
    together = [1, 9, 13]  # scores of tokens 2, 10 and 14
    assert torch.equal(before[together], after[together])
    assert before[5] != after[5]


def test_training_asks_for_a_fixed_share_and_never_for_the_first_token(monkeypatch):
    model, rows = _model(mask_share=0.25), _ids(4, 17)
    seen = []
    states = model.states
    monkeypatch.setattr(model, "states", lambda ids: seen.append(ids) or states(ids))
    torch.manual_seed(0)
    for _ in range(60):
        model.loss(rows)
    changed = torch.stack(seen) != rows
    masked = torch.stack(seen) == model.mask_id
    assert masked_tokens(model.proxy) == 4
    assert not changed[:, :, 0].any()
    assert changed.sum(-1).max() <= 4
    assert masked.float().sum(-1).mean().item() == pytest.approx(4 * 0.8, rel=0.05)
    assert (changed & ~masked).float().sum(-1).mean().item() == pytest.approx(4 * 0.1, rel=0.25)
