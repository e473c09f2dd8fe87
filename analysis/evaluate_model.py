"""The command `model evaluate`: bits per byte of any causal model on a workspace's held-out documents.

The text is what is held fixed: documents of the held-out sets, cut where a study cuts them, decoded to
text and encoded again by the model's own tokenizer. Bits per byte compare over tokenizers; nats per token and
perplexity do not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.data import HeldOut
from analysis.design_file import load_design
from analysis.evaluation import perplexity
from analysis.evaluation.choice import vocabulary_bytes
from analysis.heldout import heldout_sets, heldout_texts
from analysis.slices import Slice, partition


@dataclass(frozen=True)
class Evaluated:
    """What a model scores.

    Attributes:
        name: of the model's folder.
        context: predicted tokens per row.
        likelihood: causal or pseudo.
        rows: target, population, documents, tokens, bytes, nats_per_token, bpb, lossy_documents.
    """

    name: str
    context: int
    likelihood: str
    rows: list[dict[str, Any]]


def evaluate_model(
    folder: Path,
    workspace: Path,
    design_file: Path | None = None,
    tokens: int = 12_000,
    context: int | None = None,
    device: str = "cpu",
) -> Evaluated:
    """Score a model on the held-out documents of each target.

    Args:
        folder: a model of `transformers` with its tokenizer, or a run of ours.
        workspace: curated workspace.
        design_file: its slices are the targets; None takes each source.
        tokens: held-out tokens (of the workspace's tokenizer) per target and population.
        context: predicted tokens per row; None takes the model's, up to 1024.
        device: where the model computes.

    Raises:
        InputError: if the folder is no model, or was trained with another tokenizer than the workspace's.
        ConfigError: if the model is not causal (one of ours may be: its likelihood is stated), or the context too long.
    """
    targets = target_slices(workspace, design_file)
    atoms = partition(str(workspace), targets)
    heldouts = heldout_sets(str(workspace), atoms, [one.name for one in targets], tokens)
    if (folder / "run.json").exists():
        return _evaluate_run(folder, workspace, heldouts, context, device)
    from analysis.models.hf_import import NOTHING, load_hf

    model = load_hf(folder, context, device)
    vocabulary = vocabulary_bytes(workspace / "tokenizer" / "tokenizer.json")
    encoded, lossy = [], []
    for heldout in heldouts:
        found = model.encode(heldout_texts(heldout, vocabulary))
        encoded.append(replace(heldout, ids=found.ids, offsets=found.offsets, n_bytes=found.n_bytes))
        lossy.append(int((~found.lossless).sum()))
    sums = perplexity.evaluate(model, encoded, model.context, model.start_id)
    rows = _summarise(sums, encoded, lossy, given=int(model.start_id == NOTHING))
    return Evaluated(folder.name, model.context, "causal", rows)


def format_evaluated(found: Evaluated) -> str:
    """Make the table that the command prints."""
    lines = [
        f"{found.name}: {found.context} tokens of context, {found.likelihood} likelihood",
        f"{'target':<16} {'population':<11} {'documents':>9} {'tokens':>9} {'bytes':>9} {'nats/token':>10} {'bpb':>7}",
    ]
    lines += [
        f"{row['target']:<16} {row['population']:<11} {row['documents']:>9,} {row['tokens']:>9,} {row['bytes']:>9,} "
        f"{row['nats_per_token']:>10.4f} {row['bpb']:>7.4f}"
        for row in found.rows
    ]
    if found.likelihood == "pseudo":
        lines.append("A pseudo-likelihood is not the probability of a text: do not rank it beside causal models.")
    lossy = sum(row["lossy_documents"] for row in found.rows)
    if lossy:
        lines.append(f"{lossy} documents are not given back by its tokenizer: their bits per byte say too little.")
    return "\n".join(lines)


def run_evaluate_model(
    folder: Path, workspace: Path, design: Path | None, tokens: int, context: int | None, device: str, as_json: bool
) -> None:
    """Print the table, or JSON."""
    found = evaluate_model(folder, workspace, design, tokens, context, device)
    print(json.dumps(asdict(found), indent=1) if as_json else format_evaluated(found))


def target_slices(workspace: Path, design_file: Path | None, run: Path | None = None) -> tuple[Slice, ...]:
    """Return what a model is looked at by: slices.

    Args:
        workspace: curated workspace.
        design_file: a design; its slices.
        run: without a design, a run of a study; the study's slices. Without either, a slice per source.
    """
    study = run.resolve().parents[1] / "design.json" if run else None
    if design_file:
        slices = load_design(str(design_file)).slices
        return tuple(Slice(name, one.where, "source") for name, one in slices.items())
    if study and study.exists():
        slices = json.loads(study.read_text("utf-8"))["spec"]["slices"]
        return tuple(Slice(name, one["where"], "source") for name, one in slices.items())
    sources = json.loads((workspace / "recipe.json").read_text("utf-8"))["sources"]
    return tuple(
        Slice(source["name"].replace("-", "_"), f"source = '{source['name']}'", "source") for source in sources
    )


def _evaluate_run(
    folder: Path, workspace: Path, heldouts: Sequence[HeldOut], context: int | None, device: str
) -> Evaluated:
    """Score a run of ours with the tokens of the workspace, as its own evaluation does."""
    import torch

    from analysis.evaluation.text_scorers import require_own_context
    from analysis.models.hf_export import read_tokenizer, require_same_tokenizer
    from analysis.models.neural import TorchLogProb, load

    model = load(folder)
    proxy = model.proxy
    require_same_tokenizer(folder, workspace)
    read_tokenizer(workspace, proxy)
    require_own_context(context, proxy)
    scorer = TorchLogProb(model.to(torch.device(device)))
    sums = perplexity.evaluate(scorer, heldouts, proxy.context, proxy.eos_id)
    return Evaluated(folder.name, proxy.context, proxy.likelihood, _summarise(sums, heldouts, [0] * len(heldouts)))


def _summarise(
    sums: pa.Table, heldouts: Sequence[HeldOut], lossy: Sequence[int], given: int = 0
) -> list[dict[str, Any]]:
    """Add up the components of each set; `given` tokens of each document were not asked for."""
    rows = []
    for heldout, bad in zip(heldouts, lossy, strict=True):
        mine = pc.and_(pc.equal(sums["target"], heldout.target), pc.equal(sums["population"], heldout.population))
        nats, tokens, size = (float(pc.sum(sums.filter(mine)[name]).as_py()) for name in ("nats", "tokens", "bytes"))
        documents = len(heldout.doc_id)
        tokens -= given * documents
        rows.append(
            {
                "target": heldout.target,
                "population": heldout.population,
                "documents": documents,
                "tokens": int(tokens),
                "bytes": int(size),
                "nats_per_token": nats / tokens,
                "bpb": perplexity.bits_per_byte(nats, int(size)),
                "lossy_documents": bad,
            }
        )
    return rows
