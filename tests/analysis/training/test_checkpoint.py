import pytest
import torch

from analysis.models.neural import build, initialise
from analysis.training import checkpoint
from analysis.training.optimizer import build_optimizer
from pipelines.contracts.errors import InputError
from tests.analysis.toy import small_proxy

IDENTITY = {"proxy": {"lr": 0.1, "context": 16}, "seed": 7, "data": {"corpus": "aa", "mixture": "m"}}


class Run:
    """A model with moments, as after some steps."""

    def __init__(self, seed: int) -> None:
        proxy = small_proxy(layers=1)
        self.model = build(proxy)
        initialise(self.model, seed)
        self.average = [p.detach().clone() + 1 for p in self.model.parameters()]
        self.optimizer = build_optimizer(self.model, proxy)
        self.losses = torch.arange(8.0) + seed

    def train(self) -> None:
        self.model.loss(torch.ones((4, 17), dtype=torch.int64)).backward()
        self.optimizer.step()

    def save(self, path, step):
        checkpoint.save(path, IDENTITY, step, self.model, self.average, self.optimizer, self.losses)

    def load(self, path, **changes):
        return checkpoint.load(path, IDENTITY | changes, self.model, self.average, self.optimizer, self.losses)


@pytest.fixture
def saved(tmp_path):
    """Two checkpoints of one run, after step 3 and after step 5."""
    path = tmp_path / "run" / "checkpoint.safetensors"
    run = Run(1)
    run.train()
    run.save(path, 3)
    first = [p.detach().clone() for p in run.model.parameters()]
    run.train()
    run.save(path, 5)
    return path, first, run


def test_everything_comes_back_bit_for_bit(saved):
    path, _, run = saved
    other = Run(2)
    torch.manual_seed(123)
    assert other.load(path) == 5
    assert checkpoint.steps_done(path) == 5
    for a, b in zip(run.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)
        assert all(
            torch.equal(run.optimizer.state[a][key], other.optimizer.state[b][key]) for key in run.optimizer.state[a]
        )
    assert all(torch.equal(a, b) for a, b in zip(run.average, other.average, strict=True))
    assert torch.equal(run.losses, other.losses)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint_falls_back_to_the_one_before_and_says_so(saved, keep, caplog):
    path, first, _ = saved
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    other = Run(2)
    assert other.load(path) == 3
    assert all(torch.equal(a, b) for a, b in zip(first, other.model.parameters(), strict=True))
    assert "damaged" in caplog.text
    assert "step 3" in caplog.text


def test_a_flipped_bit_is_found(saved, caplog):
    path, _, _ = saved
    body = bytearray(path.read_bytes())
    body[-100] ^= 1
    path.write_bytes(body)
    assert Run(2).load(path) == 3
    assert "digest" in caplog.text


def test_damage_of_both_is_an_error_with_the_file(saved):
    path, _, _ = saved
    for one in path.parent.iterdir():
        one.write_bytes(one.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors: damaged checkpoint.*train the run from its start"):
        Run(2).load(path)


def test_a_kill_between_the_two_renames_leaves_the_one_before(saved):
    path, _, _ = saved
    path.unlink()
    assert Run(2).load(path) == 3


def test_another_run_is_refused_and_what_differs_is_named(saved):
    path, _, _ = saved
    with pytest.raises(InputError, match=r"\(data\.corpus differ\).*'data\.corpus': 'aa'.*'data\.corpus': 'bb'"):
        Run(2).load(path, data={"corpus": "bb", "mixture": "m"})


def test_no_checkpoint_is_step_0_and_remove_removes_both(saved):
    path, _, _ = saved
    checkpoint.remove(path)
    assert list(path.parent.iterdir()) == []
    assert Run(2).load(path) == 0
