"""Many proxies of one shape at once on one device: every weight has a leading [models] dimension.

A proxy of .4 M parameters leaves a GPU idle: its kernels are shorter than their launch. So the products of K
proxies are written as one `bmm`, with static shapes (TabM and HFTA do the same; `vmap` has no fast backward
for attention). Clipping, moments, averages and losses are per model, so each model equals the same proxy
trained alone: bit for bit in fp32 on a CPU, where `bmm` is the same product, slice by slice.

A stack is made of `TrainingState`s and gives them back: checkpoints, scores and files are those of runs that
are trained alone, and either kind resumes the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from analysis.models import Proxy
from analysis.training.optimizer import learning_rate
from analysis.training.state import STEPS_PER_READ, TrainingState


def stackable(proxy: Proxy) -> bool:
    """Whether a proxy can be stacked: a Llama without dropout (whose random numbers a stack would share out)."""
    return proxy.model == "llama" and proxy.dropout == 0


def stacked_nats(weights: dict[str, torch.Tensor], tables: tuple[torch.Tensor, ...], rows: torch.Tensor,
                 proxy: Proxy) -> torch.Tensor:  # fmt: skip
    """Negative log-probabilities of K Llamas, each on rows of its own.

    Args:
        weights: by the name of `Llama`, each [models, ...].
        tables: cosines, sines and mask of `analysis.models.llama.Decoder`.
        rows: [models, batch, context + 1] int64.
        proxy: the shape of every model.

    Returns:
        [models, batch, context] float32 nats.
    """
    models, batch, width = rows.shape
    embedding = weights["model.embed_tokens.weight"]
    offset = torch.arange(models, device=rows.device)[:, None] * proxy.vocab_size
    ids = rows[:, :, :-1].reshape(models, -1) + offset
    x = functional.embedding(ids, embedding.flatten(0, 1))  # [models, batch time, d]
    for layer in range(proxy.layers):
        own = f"model.layers.{layer}."
        normed = _norm(x, weights[own + "input_layernorm.weight"], proxy.norm_eps)
        x = x + _attention(normed, weights, own, tables, (batch, width - 1), proxy)
        normed = _norm(x, weights[own + "post_attention_layernorm.weight"], proxy.norm_eps)
        gate = functional.silu(_linear(normed, weights[own + "mlp.gate_proj.weight"]))
        x = x + _linear(
            gate * _linear(normed, weights[own + "mlp.up_proj.weight"]), weights[own + "mlp.down_proj.weight"]
        )
    x = _norm(x, weights["model.norm.weight"], proxy.norm_eps)
    logits = _linear(x, embedding if proxy.tied else weights["lm_head.weight"])
    target = rows[:, :, 1:].reshape(-1)
    return functional.cross_entropy(logits.float().flatten(0, 1), target, reduction="none").view(models, batch, -1)


def _attention(x: torch.Tensor, weights: dict[str, torch.Tensor], own: str, tables: tuple[torch.Tensor, ...],
               shape: tuple[int, int], proxy: Proxy) -> torch.Tensor:  # fmt: skip
    """Causal attention of each row, [models, batch time, d] to the same."""
    cos, sin, mask = tables
    (batch, time), models, width = shape, len(x), proxy.d_model // proxy.heads
    joint = torch.cat([weights[f"{own}self_attn.{name}_proj.weight"] for name in "qkv"], 1)
    qkv = _linear(x, joint).view(models * batch, time, 3, proxy.heads, width)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [models batch, heads, time, width]
    q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
    scores = (q @ k.transpose(-1, -2)) * width**-0.5 + mask
    mixed = scores.softmax(-1).to(v.dtype) @ v
    mixed = mixed.transpose(1, 2).reshape(models, batch * time, proxy.d_model)
    return _linear(mixed, weights[own + "self_attn.o_proj.weight"])


def _linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """[models, n, in] times [models, out, in]^T."""
    return torch.bmm(x, weight.transpose(1, 2))


def _norm(x: torch.Tensor, scale: torch.Tensor, eps: float) -> torch.Tensor:
    """RMSNorm with one [models, d] scale per model."""
    return functional.rms_norm(x, x.shape[-1:], None, eps) * scale[:, None]


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Stack:
    """K runs in lockstep.

    Args:
        starts: build the states one after another (they share one model of the process, so each is copied into
            the stack before the next is built); all of one proxy, numerics, number of slots and step.
    """

    def __init__(self, starts: Sequence[Callable[[], TrainingState]]) -> None:
        self.states: list[TrainingState] = []
        slices: list[dict[str, torch.Tensor]] = []
        for start in starts:
            state = start()
            self.states.append(state)
            slices.append(_take_apart(state))
        first = self.states[0]
        self.proxy, self.numerics, self.step, self.n_steps = first.proxy, first.numerics, first.step, first.n_steps
        self.averaging = first.averaging
        joined = {name: torch.stack([one[name] for one in slices]) for name in slices[0]}
        self.weights = {n: v.requires_grad_() for n, v in _part(joined, "weight").items()}
        self.average = _part(joined, "average")
        for index, state in enumerate(self.states):  # a state's average is its slice of the stack's
            state.average = [mean[index] for mean in self.average.values()]
        self.optimizer = _optimizer(self.weights, self.proxy)
        if self.step:
            for name, weight in self.weights.items():
                moments = {key: joined[f"{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
                step = torch.tensor(float(self.step), device=weight.device)
                self.optimizer.state[weight] = {"step": step, **moments}
        decoder = first.engine.model.model
        self._tables = (decoder.cos, decoder.sin, decoder.mask)
        self._nats = torch.compile(self._mean_nats, dynamic=False) if self.numerics.compiled else self._mean_nats

    def _mean_nats(self, weights: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        """[models, batch, context + 1] to [models] mean nats per token."""
        low = self.numerics.dtype == "bfloat16"
        with torch.autocast(torch.device(self.numerics.device).type, torch.bfloat16, enabled=low):
            return stacked_nats(weights, self._tables, rows, self.proxy).flatten(1).mean(1)

    def advance(self, until: int) -> None:
        """Train up to STEPS_PER_READ steps, not beyond `until`; a model whose loss is not finite is out from there."""
        start_s, batch, stop = time.process_time(), self.proxy.batch, min(until, self.step + STEPS_PER_READ)
        read = [state.stream.slots_tokens(self.step * batch, stop * batch) for state in self.states]
        rows = torch.from_numpy(np.stack(read)).to(self.numerics.device)  # [models, steps batch, context + 1]
        losses = []
        for index, step in enumerate(range(self.step, stop)):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.proxy, step, self.n_steps)
            losses.append(self._train(rows[:, index * batch : (index + 1) * batch]))
            window = self.averaging.window_at(step)
            if window:
                with torch.no_grad():
                    torch._foreach_lerp_(
                        list(self.average.values()),
                        [w.detach() for w in self.weights.values()],
                        1.0 / (step - window[0] + 1),
                    )
        found = torch.stack(losses, 1).float().cpu()  # [models, steps]
        cpu_s = (time.process_time() - start_s) / len(self.states)
        for state, own in zip(self.states, found, strict=True):
            if state.finite:
                _account(state, own, self.step, stop, cpu_s)
        self.step = stop

    def _train(self, rows: torch.Tensor) -> torch.Tensor:
        """One step of every model; returns [models] losses before it."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = rows.chunk(self.proxy.accumulate, 1)
        losses = []
        for part in parts:
            loss = self._nats(self.weights, part)
            (loss / len(parts)).sum().backward()  # the models share nothing: each gets the gradient of its own loss
            losses.append(loss.detach())
        gradients = [w.grad for w in self.weights.values() if w.grad is not None]
        # As clip_grad_norm_ does it, slice by slice in few launches: a sum over a dimension rounds otherwise.
        norms = torch.stack(torch._foreach_norm([one for g in gradients for one in g.unbind()]))
        by_model = norms.view(len(gradients), -1).t().contiguous()
        total = torch.stack(torch._foreach_norm(by_model.unbind()))  # [models]
        scale = torch.clamp(self.proxy.clip / (total + 1e-6), max=1.0)
        for gradient in gradients:
            gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
        self.optimizer.step()
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean(0)

    def unstack(self, index: int) -> TrainingState:
        """Give one run back: its weights are now in the model that all states of this process share.

        The moments are views of the stack's: good for a checkpoint, gone with the next step.
        """
        state = self.states[index]
        with torch.no_grad():
            for name, weight in state.engine.model.named_parameters():
                weight.copy_(self.weights[name][index])
                moments = self.optimizer.state[self.weights[name]]
                own = {key: moments[key][index] for key in ("exp_avg", "exp_avg_sq")}
                state.optimizer.state[weight] = {"step": moments["step"], **own}
        return state


def _account(state: TrainingState, losses: torch.Tensor, start: int, stop: int, cpu_s: float) -> None:
    """Book [steps] losses of one model, as `TrainingState.advance` does."""
    state.losses[start:stop] = losses
    bad = (~torch.isfinite(losses)).nonzero()
    state.finite = not len(bad)
    state.step = stop if state.finite else start + int(bad[0]) + 1
    state.cpu_s += cpu_s


def _take_apart(state: TrainingState) -> dict[str, torch.Tensor]:
    """Copy weights, averages and moments out of a state, by "<what>.<name>"."""
    out: dict[str, torch.Tensor] = {}
    for (name, weight), mean in zip(state.engine.model.named_parameters(), state.average, strict=True):
        out[f"weight.{name}"], out[f"average.{name}"] = weight.detach().clone(), mean.clone()
        for key, value in state.optimizer.state.pop(weight, {}).items():
            out[f"{key}.{name}"] = value
    return out


def _part(joined: dict[str, torch.Tensor], what: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{what}."): v for name, v in joined.items() if name.startswith(f"{what}.")}


def _optimizer(weights: dict[str, torch.Tensor], proxy: Proxy) -> torch.optim.AdamW:
    """AdamW over stacked weights; it works number by number, so a stack changes nothing (decay on matrices only)."""
    groups: list[dict[str, Any]] = [
        {"params": [w for w in weights.values() if w.ndim > 2], "weight_decay": proxy.weight_decay},
        {"params": [w for w in weights.values() if w.ndim <= 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=proxy.lr, betas=(proxy.beta1, proxy.beta2), fused=True)


def gigabytes(proxy: Proxy, models: int) -> float:
    """Estimate the memory of a stack on its device: weights, gradients, moments, averages, and what backward keeps.

    Kept per token: the logits three times, and about 12 d + 4 d_ff + heads * context numbers per layer, in fp32.
    """
    size = proxy.size
    per_token = 3 * proxy.vocab_size + proxy.layers * (
        12 * proxy.d_model + 4 * proxy.d_ff + 3 * proxy.heads * proxy.context
    )
    numbers = 5 * size.parameters + proxy.batch * proxy.context * per_token
    return 4 * models * numbers / 1e9
