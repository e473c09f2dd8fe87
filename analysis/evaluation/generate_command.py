"""The command `model generate`: a model continues prompts, given or of held-out documents, for people to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis import records
from analysis.evaluate_model import target_slices
from analysis.evaluation.choice import vocabulary_bytes
from analysis.evaluation.generation import Sampling, TextGenerator, generate
from analysis.evaluation.samples import PROMPT_TOKENS, Prompt, heldout_prompts, sample_rows, score_samples
from analysis.heldout import heldout_set, heldout_texts
from analysis.slices import partition
from pipelines.contracts.errors import ConfigError, message

DOCUMENTS_TOKENS = 60_000
"""Held-out tokens of each target among which prompts are looked for."""


def run_generate(
    folder: Path,
    prompts: Sequence[str],
    per_target: int,
    sampling: Sampling,
    *,
    workspace: Path | None = None,
    design: Path | None = None,
    prompt_tokens: int = PROMPT_TOKENS,
    context: int | None = None,
    device: str = "cpu",
    save: bool = False,
    as_json: bool = False,
) -> None:
    """Continue prompts, or the beginnings of held-out documents, and print what was written.

    Args:
        folder: a run of ours, or a model of `transformers`.
        prompts: texts to continue; none takes held-out documents.
        per_target: held-out documents of each target.
        sampling: how tokens are chosen.
        workspace: held-out documents are its own; None takes the run's.
        design: its slices are the targets; None takes those of the run's study, or each source.
        prompt_tokens: tokens of a document that are given.
        context: most tokens that a model of `transformers` reads.
        device: where it computes.
        save: write `samples` and `sample_scores` into the folder of the run, for the report.
        as_json: print JSON.

    Raises:
        ConfigError: if a model that is no run has no workspace to take documents from, or is to be saved into.
    """
    from analysis.evaluation.text_generators import open_generator
    from analysis.evaluation.text_scorers import workspace_of

    is_run = (folder / "run.json").exists()
    if save and (prompts or not is_run):
        got = "prompts of your own" if prompts else str(folder)
        raise ConfigError(message("--save", "nothing that a report shows", got, "held-out documents and a run"))
    model = open_generator(folder, workspace, context, device)
    if prompts:
        written = generate(model, prompts, sampling)
        rows = [{"prompt": p, "continuation": w} for p, w in zip(prompts, written, strict=True)]
        scores: list[dict[str, Any]] = []
    else:
        if not is_run and workspace is None:
            expected = "--prompt TEXT, or --workspace for held-out documents"
            raise ConfigError(message(str(folder), "nothing to continue", "no prompt", expected))
        place = workspace or workspace_of(folder)
        found = _prompts(model, place, design, folder, per_target, prompt_tokens, sampling.max_new_tokens)
        rows = sample_rows(model, found, sampling)
        scores = score_samples(rows)
    if save:
        _save(folder, rows, scores)
    if as_json:
        body = {"model": folder.name, "sampling": str(sampling), "samples": rows, "scores": scores}
        print(json.dumps(body, indent=1, ensure_ascii=False))
    else:
        print(format_samples(folder.name, str(sampling), rows, scores))


def _prompts(
    model: TextGenerator, workspace: Path, design: Path | None, folder: Path, n: int, before: int, new: int
) -> list[Prompt]:
    """Find the prompts of every target."""
    targets = target_slices(workspace, design, folder)
    atoms = partition(str(workspace), targets)
    vocabulary = vocabulary_bytes(workspace / "tokenizer" / "tokenizer.json")
    found = []
    for one in targets:
        heldout = heldout_set(str(workspace), atoms, one.name, "kept", DOCUMENTS_TOKENS)
        found += heldout_prompts(model, heldout, heldout_texts(heldout, vocabulary), n, before, new)
    if not found:
        expected = f"documents of {before + new} tokens; fewer --prompt-tokens or --max-new-tokens"
        raise ConfigError(message(str(workspace), "no held-out document is long enough", "0 prompts", expected))
    return found


def _save(run: Path, rows: list[dict[str, Any]], scores: list[dict[str, Any]]) -> None:
    labels = {"design_id": run.resolve().parents[1].name, "run_id": run.name}
    for name, table in (("samples", rows), ("sample_scores", scores)):
        full = records.from_rows([{**labels, **row} for row in table], name)
        records.write_table(run / f"{name}.parquet", full, name)


def format_samples(name: str, sampling: str, rows: Sequence[dict[str, Any]], scores: Sequence[dict[str, Any]]) -> str:
    """Lay samples out for people: what was given, what the model wrote, what was there."""
    lines = [f"{name}, {sampling}"]
    for row in rows:
        lines += ["", f"[{row['target']}]"] if "target" in row else [""]
        lines += [f"  given  {_line(row['prompt'])}", f"  wrote  {_line(row['continuation'])}"]
        lines += [f"  there  {_line(row['reference'])}"] if "reference" in row else []
    if scores:
        lines += ["", f"{'target':<16} {'samples':>7} {'units':<10} {'BLEU':>6} {'R-1':>6} {'R-2':>6} {'R-L':>6}"]
        lines += [
            f"{row['target']:<16} {row['samples']:>7} {row['units']:<10} {row['bleu']:>6.2f} {row['rouge1']:>6.3f} "
            f"{row['rouge2']:>6.3f} {row['rougeL']:>6.3f}"
            for row in scores
        ]
        lines.append(f"Not for verdicts: {scores[0]['reason']}.")
    return "\n".join(lines)


def _line(text: str) -> str:
    return text.replace("\n", "⏎")
