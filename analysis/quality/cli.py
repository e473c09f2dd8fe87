"""Flags of the commands that train quality models; what they need is imported when they run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

classifier_app = typer.Typer(help="Train quality classifiers.", no_args_is_help=True)

_WORKSPACE = Annotated[
    str | None, typer.Argument(help="Workspace that the conditions are about. Not needed where only files are given.")
]
_OUT = Annotated[str, typer.Option(help="Folder of the model: a folder or gs://, s3:// prefix.")]
_FILES = "JSONL (also .gz, .zst), or text with a document per line; a glob; may be repeated."
_TEXT_FIELD = Annotated[str, typer.Option(help="Field of the text in JSONL files; dots reach into objects.")]

_CLASSIFIER_EPILOG = """
**Examples**

`mixtrace classifier train build/web --positive "source = 'wiki'" --negative "source = 'crawl'" --out build/quality`

`mixtrace classifier train build/web --positive-file 'essays/*.jsonl.zst' --negative "lang = 'en' AND split = 'train'" --out build/quality`

`mixtrace classifier train --positive-file good.jsonl --negative-file bad.txt --out build/quality` — without a workspace

`mixtrace classifier train build/web --positive "kept" --negative "NOT kept AND first_reason = 'low_quality'" --balance downsample --minn 2 --maxn 4 --out build/quality`
"""


@classifier_app.callback()
def _group() -> None:
    """Keep `classifier train` a command of a group, although it is the only one."""


@classifier_app.command("train", epilog=_CLASSIFIER_EPILOG)
def classifier_train(
    out: _OUT,
    workspace: _WORKSPACE = None,
    positive: Annotated[str | None, typer.Option(help="SQL condition of the positive documents.")] = None,
    negative: Annotated[str | None, typer.Option(help="SQL condition of the negative documents.")] = None,
    positive_file: Annotated[list[str] | None, typer.Option(help=f"Positive texts: {_FILES}")] = None,
    negative_file: Annotated[list[str] | None, typer.Option(help=f"Negative texts: {_FILES}")] = None,
    text_field: _TEXT_FIELD = "text",
    max_documents: Annotated[int, typer.Option(min=1, help="Most texts of a class, drawn by hash.")] = 100_000,
    dim: Annotated[int, typer.Option(min=1, max=1024, help="Length of the vectors.")] = 16,
    epoch: Annotated[int, typer.Option(min=1, help="Passes over the examples.")] = 10,
    lr: Annotated[float, typer.Option(min=1e-6, max=10.0, help="Learning rate at the start.")] = 0.5,
    word_ngrams: Annotated[int, typer.Option(min=1, max=5, help="Longest run of words with a vector.")] = 2,
    minn: Annotated[int, typer.Option(min=0, max=16, help="Shortest run of characters with a vector; 0 for none.")] = 0,
    maxn: Annotated[int, typer.Option(min=0, max=16, help="Longest run of characters; 0 for none.")] = 0,
    buckets: Annotated[int, typer.Option(min=1, help="Rows that runs of words and characters share.")] = 200_000,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words are unknown.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the first vectors and of every draw.")] = 0,
    balance: Annotated[
        Literal["none", "downsample"], typer.Option(help="downsample: as many examples of either class.")
    ] = "none",
    heldout: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of the texts that is measured on.")] = 0.2,
    min_heldout: Annotated[int, typer.Option(min=1, help="Least held-out texts of each class.")] = 20,
    drop_shared: Annotated[bool, typer.Option("--drop-shared", help="Leave out texts that both classes hold.")] = False,
) -> None:
    """Train a fastText classifier: model, card and held-out scores. The same inputs give the same bytes."""
    from analysis.quality.classifier import Training
    from analysis.quality.classifier_command import ClassifierJob, run_classifier_train
    from analysis.quality.texts import Selection

    training = Training(
        dim, epoch, lr, word_ngrams, minn, maxn, buckets, min_count, seed, balance, heldout, min_heldout, drop_shared
    )
    classes = (
        Selection("--positive", positive, tuple(positive_file or ())),
        Selection("--negative", negative, tuple(negative_file or ())),
    )
    run_classifier_train(ClassifierJob(*classes, workspace, out, text_field, max_documents, training))
    typer.echo(out)
