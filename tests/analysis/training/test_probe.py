import json

import pytest
import torch

from analysis.training import probe
from analysis.training.probe import Numerics, Trial, choose_numerics, gemm_rate_gflops
from tests.analysis.toy import small_proxy


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_what_the_proxy_states_is_taken_without_trials(tmp_path):
    proxy = small_proxy(dtype="bfloat16", compile="on")
    assert choose_numerics(proxy, tmp_path, "cpu") == Numerics("cpu", "bfloat16", True)
    assert list(tmp_path.iterdir()) == []


def test_the_answer_is_cached_per_proxy(tmp_path, monkeypatch, capsys):
    proxy = small_proxy(dtype="auto")
    torch.set_num_threads(2)
    seen = []
    steps = probe.TrainingTrial.take
    monkeypatch.setattr(probe.TrainingTrial, "take", lambda *a: seen.append(torch.get_num_threads()) or steps(*a))
    first = choose_numerics(proxy, tmp_path, "cpu")
    assert not first.compiled
    assert set(seen) == {1}  # measured as the workers train
    said = capsys.readouterr().err
    assert "of this core's fp32 GEMM rate" in said
    assert "2 trials of 0.6 s" in said
    assert torch.get_num_threads() == 2
    (path,) = tmp_path.iterdir()
    answer = json.loads(path.read_text())
    assert len(answer["trials"]) == 2
    assert answer["found"] in said
    assert max(t["tokens_per_s"] for t in answer["trials"]) > 0
    monkeypatch.setattr(probe, "run_trials", lambda *_: pytest.fail("the answer was cached"))
    assert choose_numerics(proxy, tmp_path, "cpu") == first


def _judge(bf16_tokens_per_s):
    proxy = small_proxy(dtype="auto")
    trials = [Trial(Numerics(), 100.0), Trial(Numerics(dtype="bfloat16"), bf16_tokens_per_s)]
    runs = {trial.numerics: probe.TrainingTrial(probe.Engine(proxy, trial.numerics), proxy) for trial in trials}
    return [probe._checked(trial, trials, proxy, runs) for trial in trials]


def test_bf16_that_is_not_clearly_faster_is_ruled_out():
    plain, low = _judge(105.0)
    assert plain.tokens_per_s == 100.0
    assert low.tokens_per_s == 0.0
    assert "not 10 % more" in low.note


def test_bf16_must_train_to_the_loss_of_fp32(monkeypatch):
    assert _judge(300.0)[1].tokens_per_s == 300.0
    monkeypatch.setattr(probe, "AGREEMENT_NATS", -1.0)
    low = _judge(300.0)[1]
    assert low.tokens_per_s == 0.0
    assert "against fp32's" in low.note


def test_a_trial_that_goes_on_trains_as_one_that_never_stopped():
    proxy = small_proxy()
    whole, parts = (probe.TrainingTrial(probe.Engine(proxy, Numerics()), proxy) for _ in range(2))
    expected = whole.take(12)
    parts.take(2)
    parts.take(4)
    assert torch.equal(parts.until(12), expected)
    assert torch.equal(parts.until(5), expected[:5])


def test_gemm_rate_is_that_of_a_timed_product():
    rate = gemm_rate_gflops(seconds=0.05, size=256)
    assert 0.5 < rate < 1000.0  # from an emulated core to the fastest one
