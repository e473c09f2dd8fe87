"""Flags of the commands that look at a model closely; what they need is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_MODEL = Annotated[Path, typer.Argument(help="Folder of a causal model with its tokenizer, or of a run.")]
_WORKSPACE = Annotated[Path | None, typer.Option(help="Curated workspace. Default: that of the run.")]
_DESIGN = Annotated[
    Path | None, typer.Option(help="Design whose slices are the targets. Default: the run's study, else sources.")
]
_DEVICE = Annotated[str, typer.Option(help="cpu or cuda.")]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]

GENERATE_EPILOG = """
**Examples**

`mixtrace model generate build/demo/analysis/STUDY/runs/full-0` — three held-out documents of each target, greedy; BLEU and ROUGE against what follows

`mixtrace model generate build/demo/analysis/STUDY/runs/full-0 --temperature 0.8 --top-k 50 --top-p 0.95 --save` — drawn; kept for the report

`mixtrace model generate /models/gpt2 --prompt "The committee met" --prompt "他说" --max-new-tokens 60 --temperature 1` — your own prompts
"""


def generate(
    model: _MODEL,
    prompt: Annotated[list[str] | None, typer.Option(help="Text to continue; may be repeated.")] = None,
    per_target: Annotated[int, typer.Option(min=1, help="Held-out documents of each target, without --prompt.")] = 3,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a document that are given.")] = 32,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens that are written at most.")] = 32,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token each time.")] = 0.0,
    top_k: Annotated[int, typer.Option(min=0, help="Draw from the k likeliest tokens; 0 for all.")] = 0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Draw from the fewest that hold p.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    workspace: _WORKSPACE = None,
    design: _DESIGN = None,
    context: Annotated[int | None, typer.Option(min=2, help="Tokens read. Default: the model's, <= 1024.")] = None,
    device: _DEVICE = "cpu",
    save: Annotated[bool, typer.Option("--save", help="Keep the samples with the run, for the report.")] = False,
    json: _JSON = False,
) -> None:
    """Let a model continue prompts or held-out documents, to look at; BLEU and ROUGE are never in a verdict."""
    from analysis.evaluation.generate_command import run_generate
    from analysis.evaluation.generation import Sampling

    run_generate(
        model,
        prompt or [],
        per_target,
        Sampling(max_new_tokens, temperature, top_k, top_p, seed),
        workspace=workspace,
        design=design,
        prompt_tokens=prompt_tokens,
        context=context,
        device=device,
        save=save,
        as_json=json,
    )
