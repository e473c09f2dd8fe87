"""Earlier builds that a new one is deduplicated against: where their kept documents lie, and what identifies them.

Their documents take part in match, components and resolve under part numbers from FIRST_PART on, and in nothing else.
Where a workspace lies is a place; what it holds is its identity, so the outcome depends on the data of the earlier
builds, not on their paths or their order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import pyarrow as pa

from pipelines.contracts import ids, manifest, storage, tables
from pipelines.contracts.dedup import Near
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Task, part_file, part_key
from pipelines.ops.tombstones import refuse_pending
from pipelines.stages.measure import measure_signatures, minhash_params

FIRST_PART = 1 << 30
_CHECKED_ROWS = 64


@dataclass(frozen=True)
class EarlierBuild:
    """A finished workspace.

    Attributes:
        workspace: where it lies.
        label: name of its recipe, "@", and a hash of what it holds.
        parts: numbers of its parts.
        first_part: what is added to them in this build.
    """

    workspace: str
    label: str
    parts: tuple[int, ...]
    first_part: int


def recipe_of(workspace: str) -> Recipe:
    """Read the recipe of an earlier build.

    Raises:
        InputError: if there is none.
    """
    path = storage.join(workspace, "recipe.json")
    if not storage.exists(path):
        raise InputError(message("dedup.against", "not a workspace", workspace, "a folder made by `mixtrace curate`"))
    return Recipe.model_validate_json(storage.read_bytes(path))


def label_of(workspace: str) -> str:
    """Name an earlier build by what it holds: the hashes of its signatures and decisions.

    Raises:
        InputError: if it is not finished, or a removal was interrupted in it.
    """
    refuse_pending(workspace)
    recipe = recipe_of(workspace)
    measured, decided = (manifest.read_tasks(workspace, stage) for stage in ("measure", "decide"))
    if not decided or not measured:
        hint = "Run `mixtrace curate` on it first."
        raise InputError(message(workspace, "not finished", "no decisions", "a curated workspace", hint))
    outputs = sorted((o.path, o.hash) for task in [*measured.values(), *decided.values()] for o in task.outputs)
    return f"{recipe.name}@{ids.fingerprint(outputs)}"


def earlier_builds(recipe: Recipe) -> tuple[EarlierBuild, ...]:
    """Return the earlier builds of a recipe, by label; none without `dedup.against`."""
    builds: list[EarlierBuild] = []
    first = FIRST_PART
    for label, workspace in sorted((label_of(workspace), workspace) for workspace in recipe.dedup.against):
        parts = tuple(sorted(int(key) for key in manifest.read_tasks(workspace, "measure")))
        builds.append(EarlierBuild(workspace, label, parts, first))
        first += parts[-1] + 1 if parts else 0
    return tuple(builds)


def earlier_labels(recipe: Recipe) -> list[str]:
    """Return what identifies the earlier builds."""
    return [build.label for build in earlier_builds(recipe)]


def earlier_tasks(stage: str, fingerprint: str, recipe: Recipe, payload: dict[str, object]) -> list[Task]:
    """Make a map task per part of every earlier build.

    The payload gets `part`, `earlier` (its workspace), `node_part` (the number of the part in this build), `build` (the
    number of the earlier build) and `label`.
    """
    return [
        Task(
            stage,
            part_key(build.first_part + part),
            fingerprint,
            {
                **payload,
                "part": part,
                "earlier": build.workspace,
                "node_part": build.first_part + part,
                "build": number,
                "label": build.label,
            },
        )
        for number, build in enumerate(earlier_builds(recipe))
        for part in build.parts
    ]


def check_earlier(recipe: Recipe, workspace: str) -> None:
    """Check that a recipe can be deduplicated against its earlier builds.

    Args:
        recipe: the recipe.
        workspace: where it is curated.

    Raises:
        ConfigError: a build is named twice or is this one, was itself made against one that is not named, or has
            signatures that cannot be compared.
        InputError: from `label_of`.
    """
    places = [_place(path) for path in recipe.dedup.against]
    labels = [label_of(path) for path in recipe.dedup.against]
    if _place(workspace) in places or len(set(labels)) < len(labels):
        raise ConfigError(message("dedup.against", "wrong list", places, "other workspaces than this one, each once"))
    for path in recipe.dedup.against:
        earlier = recipe_of(path)
        for older in earlier.dedup.against:
            known = _place(older) in places or (storage.exists(older) and label_of(older) in labels)
            if not known and storage.exists(older):
                hint = "What it was deduplicated against is part of everything that is kept so far: name it, too."
                raise ConfigError(message(f"dedup.against: {path}", "made against another build", older, places, hint))
        _check_signatures(recipe.dedup.near, earlier, path)


def _place(path: str) -> str:
    return os.path.realpath(path.removeprefix("file://")) if storage.is_local(path) else path.rstrip("/")


def _check_signatures(near: Near | None, earlier: Recipe, path: str) -> None:
    """Check that signatures of an earlier build are those that this build would compute.

    Raises:
        ConfigError: if they are not.
    """
    if near is None:
        return
    theirs = earlier.dedup.near or Near()
    if minhash_params(theirs) != minhash_params(near):
        got, expected = (f"{minhash_params(n)}" for n in (theirs, near))
        hint = "Use the same num_perm, ngram, seed and unit, or curate it again with these."
        raise ConfigError(message(f"dedup.against: {path}", "other signatures", got, expected, hint))
    for key in sorted(manifest.read_tasks(path, "measure")):
        documents = next(tables.read_batches(path, part_file("documents", int(key)), ["text"]), None)
        if documents is not None and documents.num_rows:
            text = documents["text"].combine_chunks().slice(0, _CHECKED_ROWS)
            stored = next(tables.read_batches(path, part_file("signatures", int(key)))).slice(0, len(text))
            if not measure_signatures(int(key), 0, text, near)["signature"].equals(_unchunked(stored["signature"])):
                hint = "Curate it again with this version."
                raise ConfigError(message(path, "signatures of another version", "others", "the same", hint))
            return


def _unchunked(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([column.combine_chunks()])
