"""The commands `mixtrace export FORMAT WORKSPACE`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

export_app = typer.Typer(
    help="Write token shards in the file formats of other trainers.", no_args_is_help=True, rich_markup_mode="markdown"
)

Workspace = Annotated[str, typer.Argument(help="Workspace with shards: a folder or gs://, s3:// prefix.")]
Out = Annotated[
    str | None, typer.Option(help="Folder or prefix to write to. Default: exports/FORMAT in the workspace.")
]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be given several times.")]
Split = Annotated[Literal["train", "heldout", "both"], typer.Option(help="Which split.")]
Verdict = Annotated[Literal["kept", "rejected", "both"], typer.Option(help="Kept documents, dropped ones, or both.")]
MaxFile = Annotated[float, typer.Option(min=0.001, help="Gigabytes of ids per file; a file holds whole shards.")]


def _run(
    format_: str, workspace: str, out: str | None, sources: list[str] | None, split: str, verdict: str, max_gb: float
) -> None:
    from pipelines.exports.files import Selection
    from pipelines.exports.run import ExportOptions, run_export

    verdicts = ("kept", "rejected") if verdict == "both" else (verdict,)
    splits = () if split == "both" else (split,)
    selection = Selection(verdicts, tuple(sources or ()), splits)
    typer.echo(run_export(ExportOptions(workspace, format_, out, selection, max_gb)))


_MEGATRON_EPILOG = """
**Examples**

`mixtrace export megatron build/web` — every source and split; use `build/web/exports/megatron/kept/forum/train-00000-of-00001` as `--data-path`

`mixtrace export megatron build/web --out s3://bucket/web --source forum --split train` — one source, to an object store
"""


@export_app.command("megatron", epilog=_MEGATRON_EPILOG)
def megatron(
    workspace: Workspace,
    out: Out = None,
    source: Sources = None,
    split: Split = "both",
    verdict: Verdict = "kept",
    max_file_gb: MaxFile = 16.0,
) -> None:
    """Megatron-LM: .bin and .idx of the indexed dataset, version 1. Resumes after a kill."""
    _run("megatron", workspace, out, source, split, verdict, max_file_gb)


_FLAT_EPILOG = """
**Examples**

`mixtrace export {0} build/web` — every source and split

`mixtrace export {0} build/web --split train --max-file-gb 1` — smaller files
"""


@export_app.command("npy", epilog=_FLAT_EPILOG.format("npy"))
def npy(
    workspace: Workspace,
    out: Out = None,
    source: Sources = None,
    split: Split = "both",
    verdict: Verdict = "kept",
    max_file_gb: MaxFile = 16.0,
) -> None:
    """NumPy: one array of ids per file and the offsets of its documents. Resumes after a kill."""
    _run("npy", workspace, out, source, split, verdict, max_file_gb)


@export_app.command("raw", epilog=_FLAT_EPILOG.format("raw"))
def raw(
    workspace: Workspace,
    out: Out = None,
    source: Sources = None,
    split: Split = "both",
    verdict: Verdict = "kept",
    max_file_gb: MaxFile = 16.0,
) -> None:
    """Bare ids (uint16, or uint32 for more than 65,536), for np.memmap, and the offsets. Resumes after a kill."""
    _run("raw", workspace, out, source, split, verdict, max_file_gb)


_HF_EPILOG = """
**Examples**

`mixtrace export hf build/web` — then `datasets.load_dataset("build/web/exports/hf", "forum", split="train")`
"""


@export_app.command("hf", epilog=_HF_EPILOG)
def hf(
    workspace: Workspace,
    out: Out = None,
    source: Sources = None,
    split: Split = "both",
    verdict: Verdict = "kept",
) -> None:
    """Hugging Face: Parquet with a data set card, to load from a disk or to upload. Resumes after a kill."""
    _run("hf", workspace, out, source, split, verdict, 0.0)
