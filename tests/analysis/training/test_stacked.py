import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from analysis.models import Proxy
from analysis.models.llama import Llama
from analysis.models.neural import initialise
from analysis.training import stacked_runs
from analysis.training.probe import Numerics
from analysis.training.scheduler import Interrupted
from analysis.training.stacked import Stack, gigabytes, stackable, stacked_nats
from analysis.training.stacked_runs import train_stacked
from analysis.training.trainer import RunJob, run_job
from pipelines.contracts.errors import ConfigError, ResourceError
from tests.analysis.toy import ToyStream, held_out, small_proxy

NOISE_BPB = 0.018  # sd over seeds of the demo proxy
FILES = ("model.safetensors", "scores.parquet", "curves.parquet", "item_scores.parquet")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _never():
    return False


def _jobs(folder, n=3, n_slots=128, checkpoint_s=30.0, numerics=None, **changes):
    """Runs that differ in weights and data."""
    proxy = small_proxy(**changes)
    streams = [ToyStream(n_slots, proxy.context, seed=seed) for seed in range(n)]
    return [
        RunJob(proxy, stream, 7 + i, folder / f"r{i}", [held_out()], numerics=numerics, checkpoint_s=checkpoint_s)
        for i, stream in enumerate(streams)
    ]


def _same_files(a, b):
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in FILES)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The three runs, each trained alone."""
    folder = tmp_path_factory.mktemp("alone")
    for job in _jobs(folder):
        run_job(job, _never)
    return folder


@pytest.mark.parametrize("tied", [True, False])
def test_nats_are_those_of_each_model(tied):
    proxy = small_proxy(tied=tied, heads=4, d_model=32)
    models = [Llama(proxy) for _ in range(3)]
    for seed, model in enumerate(models):
        initialise(model, seed)
    rows = torch.randint(0, 64, (3, 4, 17), generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in models[0].named_parameters()]
    weights = {name: torch.stack([dict(m.named_parameters())[name] for m in models]) for name in names}
    decoder = models[0].model
    got = stacked_nats(weights, (decoder.cos, decoder.sin, decoder.mask), rows, proxy)
    want = torch.stack([model.nats(own) for model, own in zip(models, rows, strict=True)])
    assert torch.equal(got, want)


def test_each_run_equals_the_same_run_alone(tmp_path, alone):
    """To the bit on a CPU: weights, scores, loss curves; and in stacks of 2 and 1."""
    records = train_stacked(_jobs(tmp_path), size=2, say=lambda _: None)
    assert [record["run_id"] for record in records] == ["r0", "r1", "r2"]
    assert all(_same_files(tmp_path / f"r{i}", alone / f"r{i}") for i in range(3))
    assert not _same_files(alone / "r0", alone / "r1")
    assert not (tmp_path / "r0" / "checkpoint.safetensors").exists()
    again = train_stacked(_jobs(tmp_path), size=2, say=lambda _: pytest.fail("finished runs are read"))
    assert again == records


@pytest.mark.parametrize("changes", [{"clip": 0.05}, {"accumulate": 2}])
def test_clipping_and_accumulation_are_per_model(tmp_path, changes):
    for job in _jobs(tmp_path / "alone", **changes):
        run_job(job, _never)
    train_stacked(_jobs(tmp_path / "stack", **changes), size=3)
    assert all(_same_files(tmp_path / "stack" / f"r{i}", tmp_path / "alone" / f"r{i}") for i in range(3))


def test_a_stopped_stack_goes_on_in_a_stack_or_alone(tmp_path, alone):
    calls = iter([False, True])
    with pytest.raises(Interrupted, match="3 runs stopped at step 16 of 32"):
        train_stacked(_jobs(tmp_path), size=3, should_stop=lambda: next(calls), say=lambda _: None)
    jobs = _jobs(tmp_path)
    run_job(jobs[2], _never)
    train_stacked(jobs, size=3, say=lambda _: None)
    assert all(_same_files(tmp_path / f"r{i}", alone / f"r{i}") for i in range(3))


def test_runs_at_other_steps_are_not_stacked(tmp_path, alone):
    """A kill between the checkpoints of one stack leaves some of its runs a step behind."""
    calls = iter([False, True])
    with pytest.raises(Interrupted):
        train_stacked(_jobs(tmp_path)[:2], size=2, should_stop=lambda: next(calls), say=lambda _: None)
    train_stacked(_jobs(tmp_path), size=3, say=lambda _: None)
    assert all(_same_files(tmp_path / f"r{i}", alone / f"r{i}") for i in range(3))


def test_a_model_that_diverges_leaves_the_others_alone(tmp_path, alone, monkeypatch):
    plain = Stack.advance

    def poisoned(self, until):
        if self.step == 8:
            with torch.no_grad():
                self.weights["model.norm.weight"][1] = math.nan
        plain(self, until)

    monkeypatch.setattr(Stack, "advance", poisoned)
    records = train_stacked(_jobs(tmp_path), size=3, say=lambda _: None)
    assert [record["status"] for record in records] == ["finished", "diverged", "finished"]
    assert records[1]["tokens"] == 9 * 4 * 16  # the step whose loss was not finite
    assert len(pq.read_table(tmp_path / "r1" / "scores.parquet")) == 0
    assert all(_same_files(tmp_path / f"r{i}", alone / f"r{i}") for i in (0, 2))


def _room_for(monkeypatch, models):
    plain = Stack.advance

    def limited(self, until):
        if len(self.states) > models:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nmore")
        plain(self, until)

    monkeypatch.setattr(Stack, "advance", limited)


def test_out_of_memory_tries_a_smaller_stack(tmp_path, alone, monkeypatch):
    _room_for(monkeypatch, 1)
    said = []
    train_stacked(_jobs(tmp_path), size=3, say=said.append)
    assert said[0].startswith("cpu is out of memory (about ")
    assert said[0].endswith("for 3 models); 1 models are tried")
    assert all(_same_files(tmp_path / f"r{i}", alone / f"r{i}") for i in range(3))


def test_no_room_for_one_model_is_a_clear_error(tmp_path, monkeypatch):
    _room_for(monkeypatch, 0)
    expected = r"device cpu: out of memory: CUDA out of memory. Tried to allocate 9 GiB.: got about .* for 1 models; expected room"
    with pytest.raises(ResourceError, match=expected):
        train_stacked(_jobs(tmp_path), size=2, say=lambda _: None)


def test_what_cannot_be_stacked_is_refused(tmp_path):
    assert stackable(small_proxy())
    assert not stackable(small_proxy(model="lstm"))
    with pytest.raises(
        ConfigError, match=r"run r0: cannot be stacked: got llama, dropout 0\.1; expected a llama without"
    ):
        train_stacked(_jobs(tmp_path, dropout=0.1), size=2)


def test_memory_grows_with_models_and_logits():
    demo = Proxy(vocab_size=4096)
    assert gigabytes(demo, 64) == pytest.approx(64 * gigabytes(demo, 1), rel=0.1)
    assert 1.5 < gigabytes(demo, 64) < 4


def test_progress_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(stacked_runs, "REPORT_S", 0.0)
    said = []
    train_stacked(_jobs(tmp_path), size=2, say=said.append)
    assert said[0].startswith("2 of 3 runs: step 8/32, ")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_each_run_equals_the_same_run_alone(tmp_path):
    """Within a tenth of the noise between seeds; faster than one after another."""
    numerics = Numerics("cuda")
    changes = {"vocab_size": 64, "d_model": 64, "context": 64, "batch": 8, "n_slots": 1024}
    alone = [run_job(job, _never) for job in _jobs(tmp_path / "alone", n=8, numerics=numerics, **changes)]
    stacked = train_stacked(_jobs(tmp_path / "stack", n=8, numerics=numerics, **changes), size=8)
    for one, other in zip(alone, stacked, strict=True):
        assert one["train_nats_per_token"] == pytest.approx(other["train_nats_per_token"], abs=NOISE_BPB / 10)
        scores = [pq.read_table(tmp_path / kind / one["run_id"] / "scores.parquet") for kind in ("alone", "stack")]
        bpb = [np.sum(s["nats"].to_numpy()) / math.log(2) / np.sum(s["bytes"].to_numpy()) for s in scores]
        assert bpb[0] == pytest.approx(bpb[1], abs=NOISE_BPB / 10)
    assert sum(r["train_cpu_s"] for r in stacked) < sum(r["train_cpu_s"] for r in alone)
