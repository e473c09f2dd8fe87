"""Flags of the commands that look at a model closely; what they need is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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

FINETUNE_EPILOG = """
**Examples**

`mixtrace model finetune build/demo/analysis/STUDY/runs/full-0` — tell the study's slices apart; beside it the same from untrained weights

`mixtrace model finetune build/demo/analysis/STUDY/runs/full-0 --labels source --pooling mean --seeds 5 --save` — sources; kept for the report

`mixtrace model finetune build/demo/analysis/STUDY/runs/full-0 --labels build/demo-corpora/labels/zh-reviews.csv` — sentiment of the reviews, by source, native_id, label
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


def finetune(
    run: Annotated[Path, typer.Argument(help="Folder of a run of a llama, an LSTM or a BERT.")],
    labels: Annotated[
        str, typer.Option(help="slice; a CSV file; or SQL over the documents, like source, lang.")
    ] = "slice",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training passages.")] = 3,
    lr: Annotated[float, typer.Option(min=1e-6, max=1.0, help="Peak learning rate.")] = 2e-3,
    batch: Annotated[int, typer.Option(min=1, help="Passages of a step.")] = 32,
    pooling: Annotated[
        Literal["last", "mean"], typer.Option(help="State of the last token, or mean over tokens.")
    ] = "last",
    seeds: Annotated[int, typer.Option(min=1, help="Fine-tunings, from the run and from untrained weights.")] = 3,
    per_class: Annotated[int, typer.Option(min=20, help="Most training passages of a class.")] = 400,
    name: Annotated[str | None, typer.Option(help="Name of the labels in the tables.")] = None,
    workspace: _WORKSPACE = None,
    design: _DESIGN = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the scores with the run, for the report.")] = False,
    json: _JSON = False,
) -> None:
    """Fine-tune a run to classify documents; accuracy, precision, recall and F1 on held-out ones."""
    from analysis.evaluation.finetune import FineTuning
    from analysis.evaluation.finetune_command import run_finetune

    run_finetune(
        run,
        labels,
        FineTuning(epochs, lr, batch, pooling),
        seeds,
        workspace=workspace,
        design=design,
        per_class=per_class,
        name=name,
        save=save,
        as_json=json,
    )
