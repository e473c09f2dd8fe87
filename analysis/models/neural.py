"""What all torch proxies share: the contract, initial weights, the loss, scoring, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn import functional

from analysis.models import MODELS, Proxy
from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message


class NeuralModel(Protocol):
    """A `torch.nn.Module` that the trainer can train and `TorchLogProb` can score with.

    Attributes:
        proxy: what it was built from.
        EMBEDDINGS: endings of the names of embeddings, drawn with `embedding_std`.
        RESIDUAL: endings of the names of matrices that write to a residual stream; drawn smaller.
    """

    proxy: Proxy
    training: bool
    EMBEDDINGS: ClassVar[tuple[str, ...]]
    RESIDUAL: ClassVar[tuple[str, ...]]

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean training loss in nats per predicted token, [batch, context + 1] int64 to a scalar."""
        ...

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative log-probability of each token but the first, [batch, time + 1] to [batch, time] float32."""
        ...

    def config(self) -> dict[str, object]:
        """Content of `config.json`: that of `transformers` where it has the model."""
        ...

    def set_vectors(self) -> None:
        """Set vectors that start neither as 1 (scales, `*.weight`) nor as 0 (biases); in place."""
        ...

    def named_parameters(self) -> Any:
        """Names and weights (`torch.nn.Module`)."""
        ...

    def parameters(self) -> Any:
        """Weights (`torch.nn.Module`)."""
        ...

    def load_state_dict(self, state_dict: dict[str, torch.Tensor], strict: bool) -> Any:
        """Take weights over by name (`torch.nn.Module`)."""
        ...

    def train(self, mode: bool) -> Any:
        """Switch dropout on or off (`torch.nn.Module`)."""
        ...


def build(proxy: Proxy) -> Any:
    """Build the torch module of a proxy (typed as Any: a `NeuralModel` that is also a `torch.nn.Module`).

    Raises:
        ValueError: if the proxy is no torch model.
    """
    kind = MODELS[proxy.model]
    if not kind.neural:
        raise ValueError(f"{proxy.model}: no torch model; expected one of {[n for n, k in MODELS.items() if k.neural]}")
    return kind.build(proxy)


def next_token_nats(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Negative log-probability of rows[:, 1:].

    Args:
        logits: [batch, time, vocab].
        rows: [batch, time + 1] int64.

    Returns:
        [batch, time] float32 nats.
    """
    target = rows[:, 1:]
    loss = functional.cross_entropy(logits.float().flatten(0, 1), target.reshape(-1), reduction="none")
    return loss.view(target.shape)


def initialise(model: NeuralModel, seed: int) -> None:
    """Draw all weights anew, in place: the same convention for every torch proxy.

    Embeddings N(0, embedding_std), matrices N(0, 1/d), those that write to a residual stream / √(2L), scales
    1, biases 0. The numbers come from a CPU generator, so that a seed means the same weights on every device.
    """
    proxy = model.proxy
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
                continue
            std = proxy.d_model**-0.5
            if name.endswith(model.EMBEDDINGS):
                std = proxy.embedding_std
            elif name.endswith(model.RESIDUAL):
                std *= (2 * proxy.layers) ** -0.5
            weight.copy_(torch.empty(weight.shape).normal_(0.0, std, generator=generator))
        model.set_vectors()


class TorchLogProb:
    """Score rows with a torch proxy (see `LogProb`), in batches of one static shape.

    Args:
        model: the proxy; dropout is off while it scores.
        rows_nats: [batch, context + 1] int64 to [batch, context] nats; `model.nats` or its compiled form.
    """

    def __init__(self, model: NeuralModel, rows_nats: Any = None) -> None:
        self._model = model
        self._nats = rows_nats or model.nats
        self._device = next(iter(model.parameters())).device

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return [rows, context] float64 nats, 0 where the mask is False; ids are [rows, context + 1].

        Raises:
            InputError: if rows are longer than the model's context or hold ids outside its vocabulary.
        """
        proxy = self._model.proxy
        check_rows(ids, proxy.context, proxy.vocab_size, proxy.model)
        out = np.zeros(mask.shape, np.float64)
        training = self._model.training
        self._model.train(False)
        with torch.no_grad():
            for start in range(0, len(ids), proxy.batch):
                rows = ids[start : start + proxy.batch]
                padded = np.full((proxy.batch, ids.shape[1]), proxy.eos_id, np.int64)
                padded[: len(rows)] = rows
                nats = self._nats(torch.from_numpy(padded).to(self._device))
                out[start : start + proxy.batch] = -nats[: len(rows)].double().cpu().numpy()
        self._model.train(training)
        return np.where(mask, out, 0.0)


def check_rows(ids: np.ndarray, context: int, vocab_size: int, name: str) -> None:
    """Refuse [rows, time + 1] ids that a model cannot take.

    Raises:
        InputError: if time is beyond the context, or an id is not in the vocabulary.
    """
    if ids.shape[1] - 1 > context:
        raise InputError(
            message(f"rows for {name}", "longer than the model's context", ids.shape[1] - 1, f"<= {context} tokens")
        )
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
        raise InputError(
            message(
                f"rows for {name}", "token ids outside the model's vocabulary", f"{ids.min()} to {ids.max()}",
                f"0 to {vocab_size - 1}", "The tokens were made by another tokenizer than the model was trained with.",
            )
        )  # fmt: skip


def weights(model: NeuralModel) -> dict[str, torch.Tensor]:
    """Return the parameters by name (a tied head is left out), on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in model.named_parameters()}


def export(model: NeuralModel, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`, whose `mixtrace_proxy` says what the weights belong to."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{storage.TEMPORARY}model.safetensors"
    save_file(weights(model), temporary, metadata={"format": "pt"})  # of several keys the order would be random
    temporary.replace(folder / "model.safetensors")
    with storage.atomic_write(str(folder / "config.json")) as file:
        body = {**model.config(), "mixtrace_proxy": model.proxy.model_dump(mode="json")}
        file.write(json.dumps(body, indent=1).encode())


def load(folder: Path, proxy: Proxy | None = None) -> Any:
    """Read a model back from the folder of a run.

    Args:
        folder: with `model.safetensors` and `config.json`.
        proxy: what it must be; None takes the proxy that the folder names.

    Raises:
        InputError: if a file is missing, damaged, or of another proxy.
    """
    path = folder / "model.safetensors"
    found = read_proxy(folder)
    _require_same(path, found, proxy or found)
    try:
        tensors = load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise InputError(message(str(path), "no readable weights", error, "the weights of a finished run")) from error
    model = build(found)
    state = {name: value.shape for name, value in model.named_parameters()}
    got = {name: value.shape for name, value in tensors.items()}
    if state != got:
        wrong = sorted(name for name in {*state, *got} if state.get(name) != got.get(name))
        raise InputError(
            message(
                str(path), "weights of another shape",
                {n: list(got[n]) if n in got else None for n in wrong[:3]},
                {n: list(state[n]) if n in state else None for n in wrong[:3]},
            )
        )  # fmt: skip
    model.load_state_dict(tensors, strict=False)
    return model


def read_proxy(folder: Path) -> Proxy:
    """Return what a model of ours is, from its `config.json`.

    Raises:
        InputError: if there is none, or it is not one of ours.
    """
    path = folder / "config.json"
    try:
        body = json.loads(path.read_text("utf-8"))
        return Proxy.model_validate(body["mixtrace_proxy"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, ValidationError) as error:
        got = f"{type(error).__name__} {error}"
        raise InputError(message(str(path), "not the folder of a model of ours", got, "mixtrace_proxy")) from error


def _require_same(path: Path, found: Proxy, expected: Proxy) -> None:
    """Refuse weights of another proxy, naming the fields that differ."""
    got, want = found.model_dump(), expected.model_dump()
    wrong = [name for name in want if got[name] != want[name]]
    if wrong:
        raise InputError(
            message(
                str(path), "weights of another proxy", {n: got[n] for n in wrong}, {n: want[n] for n in wrong},
                "Give the run of this proxy, or name the proxy of the run.",
            )
        )  # fmt: skip
