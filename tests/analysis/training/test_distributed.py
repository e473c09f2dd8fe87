import io
import os
import signal
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from analysis.training.distributed import run_distributed
from analysis.training.probe import Numerics
from analysis.training.scheduler import WorkItem
from analysis.training.trainer import RunJob, run_job
from pipelines.contracts.errors import ConfigError
from tests.analysis.toy import ToyStream, held_out, small_proxy


def job(out, numerics, **changes):
    proxy = small_proxy(batch=8, **changes)
    return RunJob(proxy, ToyStream(256, proxy.context, seed=1), 7, out, [held_out()], numerics=numerics)


def test_two_processes_give_the_losses_of_one_for_the_same_global_batch(tmp_path):
    """Gloo; whole batches, and batches in parts whose gradients are exchanged once."""
    torch.set_num_threads(1)
    names = ("whole", "parts")
    for name in names:
        run_job(job(tmp_path / "one" / name, Numerics(), accumulate=1 + (name == "parts")), lambda: False)
    two = Numerics(processes=2)
    jobs = [job(tmp_path / "two" / name, two, accumulate=1 + (name == "parts")) for name in names]
    items = [WorkItem(one.out.name, one.out, 1.0, one) for one in jobs]
    outcomes = run_distributed(items, io.StringIO())
    assert [(o.name, o.status, o.reason) for o in outcomes] == [(name, "done", "") for name in names]
    for name in names:
        one, two = (tmp_path / where / name for where in ("one", "two"))
        curves = [pq.read_table(run / "curves.parquet")["train_nats_per_token"].to_numpy() for run in (one, two)]
        assert np.abs(curves[0] - curves[1]).max() < 1e-5
        scores = [pq.read_table(run / "scores.parquet")["nats"].to_numpy() for run in (one, two)]
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4)
        weights = [load_file(run / "model.safetensors") for run in (one, two)]
        for key, weight in weights[0].items():
            torch.testing.assert_close(weights[1][key], weight, atol=1e-3, rtol=0)
        assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
        assert outcomes[0].result["processes"] == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"accumulate": 8}, "a multiple of 16 rows"), ({"dropout": 0.1}, "cannot be trained by several processes")],
)
def test_what_cannot_be_shared_is_refused_before_anything_starts(tmp_path, changes, expected):
    one = job(tmp_path / "r", Numerics(processes=2), **changes)
    with pytest.raises(ConfigError, match=expected):
        run_distributed([WorkItem("r", one.out, 1.0, one)], io.StringIO())
    assert not one.out.exists()


def test_a_process_that_dies_ends_the_run_with_a_reason(tmp_path):
    one = job(tmp_path / "r", Numerics(processes=2))
    one = RunJob(one.proxy, ToyStream(256, 16, seed=1, delay_s=0.2), 7, one.out, numerics=one.numerics, checkpoint_s=0)

    def kill_one() -> None:
        import psutil

        while not (one.out / "checkpoint.safetensors").exists():
            time.sleep(0.01)
        members = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
        os.kill(max(members, key=lambda p: p.create_time()).pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    (outcome,) = run_distributed([WorkItem("r", one.out, 1.0, one)], io.StringIO())
    killer.join()
    assert outcome.status == "failed"
    assert "died: exit code -9" in outcome.reason or "Connection" in outcome.reason
