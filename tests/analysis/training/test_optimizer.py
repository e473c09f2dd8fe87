from itertools import pairwise

import pytest
import torch

from analysis.models.llama import Llama
from analysis.models.neural import initialise
from analysis.training.optimizer import build_optimizer, learning_rate, plan_averaging, update_average
from tests.analysis.toy import small_proxy


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_schedule_warms_up_and_ends_where_it_should(schedule):
    proxy = small_proxy(schedule=schedule, lr=2.0)
    rates = [learning_rate(proxy, step, 200) for step in range(200)]
    assert rates[0] == pytest.approx(2.0 / 20)
    assert max(rates) == pytest.approx(2.0)
    assert rates[19] == pytest.approx(2.0)
    assert all(a <= b for a, b in pairwise(rates[:20]))
    assert all(a >= b for a, b in pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(2.0 if schedule == "constant" else 0.2, rel=0.05)


def test_weight_decay_is_on_matrices_only():
    model = Llama(small_proxy())
    decayed, rest = build_optimizer(model, model.proxy).param_groups
    assert decayed["weight_decay"] == 0.1
    assert rest["weight_decay"] == 0.0
    assert all(p.ndim == 2 for p in decayed["params"])
    assert len(rest["params"]) == 2 * 2 + 1
    assert len(decayed["params"]) + len(rest["params"]) == len(list(model.parameters()))


def test_average_is_the_mean_of_the_weights_seen():
    model = Llama(small_proxy())
    average = [torch.full_like(p, 99.0) for p in model.parameters()]
    seen = []
    for seed in range(5):
        initialise(model, seed)
        seen.append([p.detach().clone() for p in model.parameters()])
        update_average(average, model, seed + 1)
    for index, mean in enumerate(average):
        torch.testing.assert_close(mean, torch.stack([weights[index] for weights in seen]).mean(0))


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7, 100, 512])
@pytest.mark.parametrize("frac", [0.0, 0.2, 0.9])
def test_averaging_windows_do_not_overlap_and_the_last_ends_the_run(n_steps, frac):
    windows = plan_averaging(small_proxy(average_frac=frac), n_steps).windows
    assert windows[-1][1] == n_steps
    assert all(start < stop for start, stop in windows)
    assert all(a[1] <= b[0] for a, b in pairwise(windows))
