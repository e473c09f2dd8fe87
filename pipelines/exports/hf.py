"""A Hugging Face data set folder: Parquet files, one per shard, with a card that names configurations and splits.

`datasets.load_dataset(FOLDER, SOURCE, split="train")` reads it from a disk, and from the hub once it is uploaded.
"""

from __future__ import annotations

import numpy as np

from pipelines.contracts import schemas
from pipelines.contracts.manifest import OutputFile
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tables import TableWriter
from pipelines.contracts.tasks import Progress
from pipelines.exports.files import ExportFile, read_batches


def write(
    workspace: str, file: ExportFile, out: str, id_type: np.dtype, end: int, progress: Progress
) -> list[OutputFile]:
    """Write one file of the export, as `pipelines.exports.run.Write` says."""
    schema = schemas.tokens(int(np.iinfo(id_type).max) + 1)
    with TableWriter(out, f"{file.name}.parquet", schema) as writer:
        for batch in read_batches(workspace, file):
            writer.write(batch)
            progress.beat(batch.num_rows, batch.nbytes)
    assert writer.output is not None
    return [writer.output]


def card(recipe: Recipe, corpus_id: str, files: list[ExportFile]) -> str:
    """Write the data set card: what is here, and for every source a configuration with its splits."""
    by_config: dict[str, dict[str, str]] = {}
    for file in files:
        config = file.source if file.verdict == "kept" else f"{file.verdict}-{file.source}"
        by_config.setdefault(config, {})[file.split] = f"{file.verdict}/{file.source}/{file.split}-*.parquet"
    lines = ["---", f"pretty_name: {recipe.name}", "configs:"]
    for config, splits in by_config.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, pattern in splits.items():
            lines += [f"  - split: {split}", f"    path: {pattern}"]
    lines += [
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"Corpus `{corpus_id}`, recipe `{recipe.recipe_id}`, made by mixtrace.",
        "",
    ]
    lines += ["| file | license | documents | tokens |", "|---|---|---|---|"]
    for file in files:
        license_ = recipe.source(file.source).license
        lines.append(f"| {file.name}.parquet | {license_} | {file.documents} | {file.tokens} |")
    return "\n".join([*lines, ""])
