"""Which files of a workspace exist: those that a manifest lists. A table that no stage has written is empty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.manifest import StageManifest
from pipelines.contracts.recipe import Recipe

STAGES = (
    "plan",
    "ingest",
    "line_counts",
    "lines",
    "index",
    "items",
    "item_hits",
    "item_counts",
    "contamination",
    "measure",
    "match",
    "components",
    "resolve",
    "decide",
    "tokenizer",
    "tokenize",
    "card",
    "verify",
    "remove",
)


@dataclass(frozen=True)
class Shard:
    """One Arrow shard of tokens.

    Attributes:
        path: relative to the workspace.
        verdict: kept or rejected.
        source: name of the source.
        split: train or heldout.
    """

    path: str
    verdict: str
    source: str
    split: str


@dataclass(frozen=True)
class Catalogue:
    """The files of one workspace on local disk."""

    workspace: Path

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe.

        Raises:
            InputError: if the folder is not a workspace.
        """
        path = self.workspace / "recipe.json"
        if not path.is_file():
            raise InputError(
                message(
                    str(self.workspace),
                    "not a workspace",
                    "no recipe.json",
                    "a folder made by `mixtrace curate`",
                )
            )
        return Recipe.model_validate_json(path.read_bytes())

    @cached_property
    def stages(self) -> dict[str, StageManifest]:
        """The manifests of the stages that have run, in the order of the stages."""
        found = {stage: manifest.read_tasks(str(self.workspace), stage) for stage in STAGES}
        return {stage: StageManifest(stage, tasks) for stage, tasks in found.items() if tasks}

    def table_files(self, table: str) -> list[Path]:
        """Return the Parquet files of a curation table, in the order of their names.

        Raises:
            InputError: if a file that a manifest lists is not there.
        """
        listed = {output.path for stage in self.stages.values() for output in stage.outputs}
        return [self._existing(path) for path in sorted(listed) if path.startswith(f"{table}/")]

    def shards(self) -> list[Shard]:
        """Return the token shards, in the order of their paths."""
        stage = self.stages.get("tokenize")
        paths = sorted(output.path for output in stage.outputs) if stage else []
        shards = []
        for path in paths:
            if path.endswith(".arrow"):
                _, verdict, source, split, _ = path.split("/")
                self._existing(path)
                shards.append(Shard(path, verdict, source, split))
        return shards

    def _existing(self, path: str) -> Path:
        full = self.workspace / path
        if not full.is_file():
            raise InputError(
                message(
                    str(full), "file is missing", "nothing", "the file that its stage's manifest lists",
                    "Run `mixtrace verify` on the workspace.",
                )
            )  # fmt: skip
        return full


def open_catalogue(workspace: Path) -> Catalogue:
    """Open a workspace for reading.

    Raises:
        InputError: if it is not on local disk, or not a workspace.
    """
    if not storage.is_local(str(workspace)):
        raise InputError(
            message(
                str(workspace),
                "not on local disk",
                "an object store",
                "a local folder",
                "Copy the workspace first.",
            )
        )
    catalogue = Catalogue(Path(workspace))
    _ = catalogue.recipe  # a folder that is not a workspace is refused before anything is written
    return catalogue
