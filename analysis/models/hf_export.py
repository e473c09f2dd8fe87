"""A finished run as a folder that `transformers` opens in one line.

    AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

Weights and `config.json` are those of the run (`analysis.models.neural`); the tokenizer is the workspace's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analysis.models import Proxy
from analysis.shards import corpus_id
from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import ConfigError, InputError, message

MASK_TOKEN = "[MASK]"


def export_run(run: Path, out: Path, workspace: Path | None = None) -> None:
    """Write a finished run in the layout of the Hugging Face hub.

    Args:
        run: folder of a run.
        out: folder to write.
        workspace: where its tokens came from; None takes WORKSPACE/analysis/STUDY/runs/RUN apart.

    Raises:
        InputError: if the run is not finished, or the workspace holds another corpus or tokenizer.
        ConfigError: if `transformers` has no such model.
    """
    from analysis.models.neural import export, load

    record = _finished(run)
    if record["model"] not in ("llama", "bert"):
        raise ConfigError(
            message(str(run), "transformers has no such model", record["model"], "a run of a llama or a bert")
        )
    workspace = workspace or run.resolve().parents[3]
    _require_same_corpus(run, workspace)
    proxy = Proxy.model_validate(record["proxy"])
    model = load(run, proxy)
    tokenizer = read_tokenizer(workspace, proxy)
    export(model, out)
    _write(out / "tokenizer.json", _with_mask(tokenizer, proxy) if proxy.model == "bert" else tokenizer)
    _write(out / "tokenizer_config.json", _tokenizer_config(tokenizer, proxy))
    if proxy.model == "llama":
        end = {"bos_token_id": proxy.eos_id, "eos_token_id": proxy.eos_id, "pad_token_id": proxy.eos_id}
        _write(out / "generation_config.json", end)


def read_tokenizer(workspace: Path, proxy: Proxy) -> dict[str, Any]:
    """Return the `tokenizer.json` of a workspace, after comparing it with a model's vocabulary.

    Raises:
        InputError: if there is none, or it has another size or end-of-text token.
    """
    path = workspace / "tokenizer" / "tokenizer.json"
    if not path.exists():
        raise InputError(message(str(path), "no tokenizer", "no such file", "a curated workspace (--workspace)"))
    body = json.loads(path.read_text("utf-8"))
    size = 1 + max(_names(body))
    if size != proxy.vocab_size:
        raise InputError(
            message(str(path), "another vocabulary than the model's", f"{size} tokens", f"{proxy.vocab_size}")
        )
    special = [token["id"] for token in body["added_tokens"] if token["special"]]
    if proxy.eos_id not in special:
        raise InputError(
            message(
                str(path), "another end-of-text token than the model's", special, f"the special token {proxy.eos_id}"
            )
        )
    return body


def require_same_tokenizer(run: Path, workspace: Path) -> None:
    """Refuse a workspace whose tokenizer is not the one that the run's study was made with, even of the same size.

    Raises:
        InputError: with both hashes.
    """
    design = run.resolve().parents[1] / "design.json"
    if not design.exists():  # trained by `trainer.train` directly: the vocabulary is all that can be compared
        return
    path = workspace / "tokenizer" / "tokenizer.json"
    trained_with = json.loads(design.read_text("utf-8")).get("tokenizer")
    found = storage.file_hash(str(path)) if path.exists() else "no file"
    if found != trained_with:
        expected = f"hash {trained_with}"
        hint = "Curating again with another recipe makes another tokenizer."
        raise InputError(message(str(path), f"not the tokenizer of run {run.name}", f"hash {found}", expected, hint))


def _names(body: dict[str, Any]) -> dict[int, str]:
    names = {index: text for text, index in body["model"]["vocab"].items()}
    return names | {token["id"]: token["content"] for token in body["added_tokens"]}


def _finished(run: Path) -> dict[str, Any]:
    """Read `run.json`."""
    path = run / "run.json"
    if not path.exists():
        raise InputError(message(str(run), "not a finished run", "no run.json", "WORKSPACE/analysis/STUDY/runs/RUN"))
    record = json.loads(path.read_text("utf-8"))
    if record["status"] != "finished":
        raise InputError(message(str(path), "the run has no weights", record["status"], "a run that finished"))
    return record


def _require_same_corpus(run: Path, workspace: Path) -> None:
    """Refuse a workspace whose shards are not those that the run's study was made on."""
    design = run.resolve().parents[1] / "design.json"
    if not design.exists():  # trained by `trainer.train` directly: the vocabulary is all that can be compared
        return
    trained_on = json.loads(design.read_text("utf-8"))["corpus"]
    found = corpus_id(manifest.read_stage(str(workspace), "tokenize").outputs)
    if found != trained_on:
        raise InputError(
            message(str(workspace), "another corpus than the run was trained on", found, trained_on,
                    "Curating again with another recipe makes other tokens.")
        )  # fmt: skip


def _with_mask(body: dict[str, Any], proxy: Proxy) -> dict[str, Any]:
    """Add the mask token behind the vocabulary."""
    token = {"id": proxy.vocab_size, "content": MASK_TOKEN, "special": True, "normalized": False}
    token |= {"single_word": False, "lstrip": False, "rstrip": False}
    return {**body, "added_tokens": [*body["added_tokens"], token]}


def _tokenizer_config(body: dict[str, Any], proxy: Proxy) -> dict[str, Any]:
    """Say which class reads `tokenizer.json` as it is, and which tokens have a meaning."""
    end = _names(body)[proxy.eos_id]
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "model_max_length": proxy.context + (proxy.model == "bert"),
        "clean_up_tokenization_spaces": False,
    }
    return config | ({"mask_token": MASK_TOKEN} if proxy.model == "bert" else {})


def _write(path: Path, body: dict[str, Any]) -> None:
    with storage.atomic_write(str(path)) as file:
        file.write(json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8"))
