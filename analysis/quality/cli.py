"""Flags of the commands that train quality models; what they need is imported when they run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

classifier_app = typer.Typer(help="Train quality classifiers.", no_args_is_help=True)
perplexity_app = typer.Typer(help="Train n-gram models for the perplexity signal.", no_args_is_help=True)

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
@perplexity_app.callback()
def _group() -> None:
    """Keep `train` a command of a group, although it is the only one."""


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


_PERPLEXITY_EPILOG = """
**Examples**

`mixtrace perplexity train build/web --where "source = 'wiki'" --reference "source = 'crawl'" --out build/lm` — a model per language

`mixtrace perplexity train build/web --where "kept" --languages en --languages de --out build/lm`

`mixtrace perplexity train --file 'wiki-de/*.jsonl.zst' --language de --out build/lm` — without a workspace
"""


@perplexity_app.command("train", epilog=_PERPLEXITY_EPILOG)
def perplexity_train(
    out: _OUT,
    workspace: _WORKSPACE = None,
    where: Annotated[str | None, typer.Option(help="SQL condition of the documents to train on.")] = None,
    file: Annotated[list[str] | None, typer.Option(help=f"Texts to train on: {_FILES}")] = None,
    reference: Annotated[
        str | None, typer.Option(help="SQL condition of the documents that terciles are measured on.")
    ] = None,
    reference_file: Annotated[list[str] | None, typer.Option(help=f"Reference texts: {_FILES}")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the texts in files.")] = None,
    languages: Annotated[
        list[str] | None, typer.Option(help="Only this language; may be repeated. Default: all with enough texts.")
    ] = None,
    text_field: _TEXT_FIELD = "text",
    max_documents: Annotated[int, typer.Option(min=1, help="Most texts, drawn by hash.")] = 1_000_000,
    order: Annotated[int, typer.Option(min=1, max=8, help="Tokens of the longest n-gram.")] = 5,
    vocab_size: Annotated[int, typer.Option(min=260, max=1 << 17, help="Tokens of the byte-level BPE.")] = 8192,
    max_mb: Annotated[float, typer.Option(min=0.001, help="Most text per language, drawn by hash.")] = 64.0,
    prune: Annotated[int, typer.Option(min=0, help="3-grams and longer with a count of at most this go.")] = 1,
    min_documents: Annotated[int, typer.Option(min=1, help="Languages with fewer texts get no model.")] = 50,
    min_reference: Annotated[int, typer.Option(min=3, help="Nor do those with fewer reference texts.")] = 30,
) -> None:
    """Train n-gram models (Kneser-Ney) per language, with the terciles that make head, middle and tail."""
    from analysis.quality.perplexity_command import NgramTraining, PerplexityJob, run_perplexity_train
    from analysis.quality.texts import Selection

    training = NgramTraining(
        order=order, vocab_size=vocab_size, max_mb=max_mb, prune=prune, min_documents=min_documents,
        min_reference=min_reference, languages=tuple(languages or ()),
    )  # fmt: skip
    measured = None
    if reference is not None or reference_file:
        measured = Selection("--reference", reference, tuple(reference_file or ()))
    train = Selection("--where", where, tuple(file or ()))
    run_perplexity_train(PerplexityJob(train, measured, workspace, out, language, text_field, max_documents, training))
    typer.echo(out)
