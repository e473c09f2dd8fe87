import pytest
import torch
from pydantic import ValidationError

from analysis.models import MODELS, Proxy
from tests.analysis.toy import small_proxy


def test_canonical_json_names_the_proxy():
    proxy = small_proxy()
    assert Proxy.model_validate_json(proxy.canonical) == proxy
    assert small_proxy(lr=1e-3).proxy_id != proxy.proxy_id
    assert Proxy.model_validate_json(proxy.canonical).proxy_id == proxy.proxy_id


@pytest.mark.parametrize(
    "wrong",
    [{"d_model": 18, "heads": 2}, {"eos_id": 64}, {"model": "lstm", "compile": "on"}, {"lr": 0}, {"unknown": 1}],
)
def test_wrong_fields_are_refused(wrong):
    with pytest.raises(ValidationError):
        small_proxy(**wrong)


def test_flops_count_six_per_weight_and_attention():
    proxy = small_proxy()
    model = MODELS["llama"].build(proxy)
    matrices = sum(p.numel() for p in model.parameters() if p.ndim > 1)
    # Two products of T x T x d forward and twice that backward, half of it masked, in each of 2 layers.
    attention = 3 * 2 * 2 * proxy.context * proxy.d_model * 2 // 2
    assert proxy.flops_per_token == 6 * matrices + attention


def test_demo_proxy_has_the_size_of_the_pilot():
    model = MODELS["llama"].build(Proxy(vocab_size=4096))
    assert isinstance(model, torch.nn.Module)
    assert sum(p.numel() for p in model.parameters()) == 4096 * 64 + 2 * (4 * 64**2 + 3 * 64 * 176 + 2 * 64) + 64
