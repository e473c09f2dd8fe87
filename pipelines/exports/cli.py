"""The command `mixtrace export FORMAT WORKSPACE`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

EPILOG = """
**Formats**

`megatron` — Megatron-LM: .bin and .idx of the indexed dataset, version 1

`npy` — NumPy: one array of ids per file and the offsets of its documents

`raw` — bare ids (uint16, or uint32 for more than 65,536), for np.memmap, and the offsets

`hf` — Hugging Face: Parquet with a data set card, one file per shard, to load from a disk or to upload

**Examples**

`mixtrace export megatron build/web` — every source and split; use `build/web/exports/megatron/kept/forum/train-00000-of-00001` as `--data-path`

`mixtrace export npy build/web --split train --max-file-gb 1` — smaller files

`mixtrace export raw build/web --out s3://bucket/web --source forum` — one source, to an object store

`mixtrace export hf build/web` — then `datasets.load_dataset("build/web/exports/hf", "forum", split="train")`
"""


def export(
    format: Annotated[Literal["megatron", "npy", "raw", "hf"], typer.Argument(help="See below.")],
    workspace: Annotated[str, typer.Argument(help="Workspace with shards: a folder or gs://, s3:// prefix.")],
    out: Annotated[
        str | None, typer.Option(help="Folder or prefix to write to. Default: exports/FORMAT in the workspace.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be given several times.")] = None,
    split: Annotated[Literal["train", "heldout", "both"], typer.Option(help="Which split.")] = "both",
    verdict: Annotated[
        Literal["kept", "rejected", "both"], typer.Option(help="Kept documents, dropped ones, or both.")
    ] = "kept",
    max_file_gb: Annotated[
        float | None,
        typer.Option(min=0.001, help="Gigabytes of ids per file; a file holds whole shards. Default: 16; not for hf."),
    ] = None,
) -> None:
    """Write token shards in the file formats of other trainers. Resumes after a kill."""
    from pipelines.exports.files import Selection
    from pipelines.exports.run import MAX_FILE_GB, ExportOptions, run_export

    if format == "hf" and max_file_gb is not None:
        raise typer.BadParameter("hf writes one file per shard", param_hint="--max-file-gb")
    verdicts = ("kept", "rejected") if verdict == "both" else (verdict,)
    splits = () if split == "both" else (split,)
    selection = Selection(verdicts, tuple(source or ()), splits)
    typer.echo(run_export(ExportOptions(workspace, format, out, selection, max_file_gb or MAX_FILE_GB)))
