import pytest
import torch

from analysis.models.neural import build
from analysis.models.presets import PRESETS, preset
from pipelines.contracts.errors import ConfigError

NEURAL = [name for name in PRESETS if not name.startswith("ngram")]


@pytest.mark.parametrize("name", NEURAL)
def test_a_name_says_the_parameters_that_are_counted(name):
    proxy = preset(name, 4096)
    with torch.device("meta"):
        counted = sum(p.numel() for p in build(proxy).parameters())
    assert proxy.size.parameters == counted
    assert counted == pytest.approx(float(name.split("-")[1].removesuffix("m")) * 1e6, rel=0.15)
    assert proxy.model == name.split("-")[0]


def test_changes_and_unknown_names():
    assert preset("llama-0.4m", 8192, eos_id=3, lr=1e-3).lr == 1e-3
    assert preset("ngram-5", 4096).order == 5
    with pytest.raises(ConfigError, match=r"unknown: got llama-0.5m; expected a name of the ladder"):
        preset("llama-0.5m", 4096)
