import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from analysis import records
from analysis.training.probe import Numerics
from analysis.training.scheduler import Interrupted
from analysis.training.trainer import model_seed, run_job, train
from pipelines.contracts.errors import InputError, ResourceError
from tests.analysis.toy import ToyStream, held_out, job, small_proxy


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _never():
    return False


def _final_bpb(folder):
    scores = pq.read_table(folder / "scores.parquet").to_pydict()
    last = max(scores["train_tokens"])
    rows = [i for i, tokens in enumerate(scores["train_tokens"]) if tokens == last]
    return sum(scores["nats"][i] for i in rows) / math.log(2) / sum(scores["bytes"][i] for i in rows)


def test_learns_and_writes_the_run(tmp_path):
    record = run_job(job(tmp_path / "r1", n_slots=1024, lr=2e-2), _never)
    assert record["status"] == "finished"
    assert record["train_nats_per_token"] < math.log(64) - 0.5
    assert record["tokens"] == 1024 * 16
    assert record == json.loads((tmp_path / "r1" / "run.json").read_text())
    names = {path.name for path in (tmp_path / "r1").iterdir()}
    assert names == {
        "run.json", "model.safetensors", "config.json", "curves.parquet", "scores.parquet", "item_scores.parquet"
    }  # fmt: skip
    labels = {"design_id": "d", "cell": "full", "block": 0}
    assert set(records.RUNS.names) <= set(record | labels)
    for name in ("scores", "item_scores", "curves"):
        assert set(records.read_table(tmp_path / "r1" / f"{name}.parquet", name)["run_id"].to_pylist()) <= {"r1"}
    scores = pq.read_table(tmp_path / "r1" / "scores.parquet").to_pydict()
    assert sorted(set(scores["train_tokens"])) == [256 * 16, 512 * 16, 1024 * 16]
    curve = pq.read_table(tmp_path / "r1" / "curves.parquet").to_pydict()
    assert curve["step"][-1] == 256
    assert curve["train_nats_per_token"][-1] < curve["train_nats_per_token"][0]


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(tmp_path):
    for name in "ab":
        run_job(job(tmp_path / name), _never)
    for name in ("model.safetensors", "scores.parquet", "curves.parquet"):
        if name == "model.safetensors":
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        else:
            a, b = (pq.read_table(tmp_path / run / name).drop(["run_id"]) for run in "ab")
            assert a.equals(b)
    proxy = small_proxy()
    train(proxy, ToyStream(256, 16, seed=1), 8, tmp_path / "c", [held_out()])
    assert (tmp_path / "a" / "model.safetensors").read_bytes() != (tmp_path / "c" / "model.safetensors").read_bytes()


def test_a_finished_run_is_not_repeated(tmp_path):
    first = run_job(job(tmp_path / "r"), _never)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()}
    assert run_job(job(tmp_path / "r"), _never) == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()} == before


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    """SIGKILL at no particular step, then compare with a run that was left alone."""
    run_job(job(tmp_path / "whole"), _never)
    code = (
        "import sys, pathlib, torch; torch.set_num_threads(1)\n"
        "from analysis.training.trainer import run_job\nfrom tests.analysis.toy import job\n"
        "run_job(job(pathlib.Path(sys.argv[1]), delay_s=.15, checkpoint_s=0), lambda: False)\n"
    )
    checkpoint = tmp_path / "cut" / "checkpoint.safetensors"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cut")])
    while not checkpoint.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "run.json").exists()
    run_job(job(tmp_path / "cut"), _never)
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    for name in ("scores.parquet", "curves.parquet"):
        a, b = (pq.read_table(tmp_path / run / name).drop(["run_id"]) for run in ("whole", "cut"))
        assert a.equals(b)
    assert not checkpoint.exists()


def test_a_run_that_is_told_to_stop_leaves_a_checkpoint(tmp_path):
    asked = iter([False, False, True])
    with pytest.raises(Interrupted, match="of 64"):
        run_job(job(tmp_path / "r"), lambda: next(asked))
    assert (tmp_path / "r" / "checkpoint.safetensors").exists()
    run_job(job(tmp_path / "r"), _never)
    run_job(job(tmp_path / "whole"), _never)
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("r", "whole"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        run_job(job(tmp_path / "r"), lambda: True)
    with pytest.raises(InputError, match=r"checkpoint of another run \(proxy\.lr differ\)"):
        run_job(job(tmp_path / "r", lr=1e-4), _never)
    with pytest.raises(InputError, match=r"checkpoint of another run \(data\.seed differ\)"):
        train(small_proxy(), ToyStream(256, 16, seed=2), 7, tmp_path / "r", [held_out()])


def test_parts_of_a_batch_add_up_to_the_batch(tmp_path):
    for name, parts in (("whole", 1), ("parts", 4)):
        run_job(job(tmp_path / name, accumulate=parts), _never)
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, atol=2e-4, rtol=0)
    losses = [pq.read_table(tmp_path / name / "curves.parquet")["train_nats_per_token"] for name in ("whole", "parts")]
    assert np.allclose(*(column.to_numpy() for column in losses), atol=1e-5)
    with pytest.raises(ValueError, match="expected a divisor of batch"):
        small_proxy(accumulate=3)


def test_a_loss_that_is_not_finite_is_an_outcome(tmp_path):
    record = run_job(job(tmp_path / "r", lr=1e30, warmup_frac=0.0), _never)
    assert record["status"] == "diverged"
    assert record["train_nats_per_token"] is None
    assert 0 < record["tokens"] < 256 * 16
    step = record["tokens"] // 64
    batch = [f"toy-{slot}" for slot in range((step - 1) * 4, step * 4)]
    assert record["divergence"] == {"step": step, "loss": "nan", "documents": batch}
    assert record["reason"] == f"loss nan at step {step}; its batch held {'; '.join(batch)}"
    assert records.read_table(tmp_path / "r" / "scores.parquet", "scores").num_rows == 0
    assert not (tmp_path / "r" / "model.safetensors").exists()
    assert pq.read_table(tmp_path / "r" / "curves.parquet")["step"].to_pylist()[-1] * 64 == record["tokens"]


def test_a_device_out_of_memory_says_what_did_not_fit(tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr("analysis.training.probe.Engine.step", full)
    with pytest.raises(
        ResourceError, match=r"run r on cpu: out of memory: CUDA .* 2 GiB.: got batch 4 in 1 parts.*`accumulate`"
    ):
        run_job(job(tmp_path / "r"), _never)


def test_evaluated_weights_are_the_average_of_the_last_fifth(tmp_path):
    last = job(tmp_path / "last", n_slots=512, lr=3e-2, schedule="constant", average_frac=0.0)
    mean = job(tmp_path / "mean", n_slots=512, lr=3e-2, schedule="constant", average_frac=0.3)
    run_job(last, _never)
    run_job(mean, _never)
    assert _final_bpb(tmp_path / "mean") < _final_bpb(tmp_path / "last")


def test_n_gram_runs_through_the_same_function(tmp_path):
    record = run_job(job(tmp_path / "r", n_slots=512, model="ngram"), _never)
    assert record["status"] == "finished"
    scores = pq.read_table(tmp_path / "r" / "scores.parquet")
    assert sorted(set(scores["train_tokens"].to_pylist())) == [128 * 16, 256 * 16, 512 * 16]
    assert _final_bpb(tmp_path / "r") < math.log2(64) / 2  # two bytes per token; uniform is 3 bits per byte


def test_compiled_training_agrees_with_eager(tmp_path):
    """One small graph: a cold compilation takes 10 s."""
    proxy = small_proxy(layers=1)
    for name, compiled in (("eager", False), ("compiled", True)):
        numerics = Numerics("cpu", "float32", compiled)
        train(proxy, ToyStream(64, 16, seed=1), 7, tmp_path / name, numerics=numerics)
    eager, compiled = (load_file(tmp_path / name / "model.safetensors") for name in ("eager", "compiled"))
    assert set(eager) == set(compiled)
    for name, weight in eager.items():
        torch.testing.assert_close(compiled[name], weight, atol=2e-3, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu(tmp_path):
    run_job(job(tmp_path / "cpu"), _never)
    train(
        small_proxy(),
        ToyStream(256, 16, seed=1),
        7,
        tmp_path / "gpu",
        [held_out()],
        numerics=Numerics("cuda"),
    )
    assert _final_bpb(tmp_path / "gpu") == pytest.approx(_final_bpb(tmp_path / "cpu"), abs=1e-3)


def test_model_seeds_differ_between_blocks():
    seeds = [model_seed(1, block) for block in range(50)] + [model_seed(2, block) for block in range(50)]
    assert len(set(seeds)) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert np.array_equal(seeds[:50], [model_seed(1, block) for block in range(50)])
