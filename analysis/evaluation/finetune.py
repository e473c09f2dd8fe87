"""Fine-tune a proxy to classify: a linear head on its last hidden states, all weights trained.

Pooling: the state of the last token (as GPT, Radford et al. 2018), which has seen the whole row, or the mean over the
tokens. AdamW with the proxy's own settings, warm-up and linear decay, a few epochs. The same is done from weights drawn
anew, so that what pre-training gives can be told from what labels give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from analysis.evaluation.labelled import LabelledTask, Passages
from analysis.models.neural import initialise
from analysis.training.optimizer import build_optimizer, learning_rate

Pooling = Literal["last", "mean"]


@dataclass(frozen=True)
class FineTuning:
    """How a proxy is fine-tuned.

    Attributes:
        epochs: passes over the training passages.
        lr: peak learning rate.
        batch: passages of a step.
        pooling: how the states of a passage become one vector.
    """

    epochs: int = 3
    lr: float = 2e-3
    batch: int = 32
    pooling: Pooling = "last"


class Classifier(nn.Module):
    """A proxy with a linear head.

    Args:
        model: a proxy with `states` (all but the feed-forward one and the n-gram).
        n_classes: classes.
        pooling: how states become one vector.
        seed: of the head's weights.
    """

    def __init__(self, model: Any, n_classes: int, pooling: Pooling, seed: int) -> None:
        super().__init__()
        self.model, self.pooling = model, pooling
        width = model.proxy.d_model
        self.head = nn.Linear(width, n_classes)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.head.weight.normal_(0.0, width**-0.5, generator=generator)
            self.head.bias.zero_()

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits, [batch, time] int64 and [batch] lengths to [batch, classes]."""
        states = self.model.states(ids)
        if self.pooling == "last":
            return self.head(states[torch.arange(len(ids), device=ids.device), lengths - 1])
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        return self.head((states * inside[..., None]).sum(1) / lengths[:, None])


def fine_tune(
    open_model: Callable[[], Any], task: LabelledTask, how: FineTuning, seed: int, *, untrained: bool = False
) -> np.ndarray:
    """Fine-tune and classify the test passages, which training never sees.

    Args:
        open_model: gives the proxy as it was trained, anew each time.
        task: passages and classes.
        how: epochs, rate, batch, pooling.
        seed: of the head, of the order, and of the weights if `untrained`.
        untrained: draw all weights anew.

    Returns:
        [test passages] int64 classes.
    """
    model = open_model()
    if untrained:
        initialise(model, seed)
    classifier = Classifier(model, len(task.classes), how.pooling, seed)
    _train(classifier, task.train, how, seed)
    return _predict(classifier, task.test, how.batch)


def _train(classifier: Classifier, passages: Passages, how: FineTuning, seed: int) -> None:
    """Train all weights of a classifier, in place."""
    schedule = classifier.model.proxy.model_copy(update={"lr": how.lr, "schedule": "linear", "final_lr_frac": 0.0})
    optimizer = build_optimizer(classifier, schedule)
    order = np.random.default_rng(seed)
    n = len(passages.label)
    n_steps = how.epochs * -(-n // how.batch)
    torch.manual_seed(seed)  # dropout
    classifier.train()
    step = 0
    for _ in range(how.epochs):
        shuffled = order.permutation(n)
        for start in range(0, n, how.batch):
            rows = shuffled[start : start + how.batch]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(schedule, step, n_steps)
            loss = functional.cross_entropy(_logits(classifier, passages, rows), torch.from_numpy(passages.label[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_([p for p in classifier.parameters() if p.grad is not None], schedule.clip)
            optimizer.step()
            step += 1


def _predict(classifier: Classifier, passages: Passages, batch: int) -> np.ndarray:
    classifier.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(passages.label), batch):
            rows = np.arange(start, min(start + batch, len(passages.label)))
            found.append(_logits(classifier, passages, rows).argmax(1).numpy())
    return np.concatenate(found)


def _logits(classifier: Classifier, passages: Passages, rows: np.ndarray) -> torch.Tensor:
    """Classify some rows, cut to the longest of them."""
    longest = int(passages.lengths[rows].max())
    ids = torch.from_numpy(np.ascontiguousarray(passages.ids[rows, :longest]))
    return classifier(ids, torch.from_numpy(passages.lengths[rows]))
