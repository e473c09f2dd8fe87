"""Tasks and the two kinds of stage. Tasks are the only elements that Beam sees.

A `MapStage` reads named files and writes named files. A `ShuffleStage` sends packed bytes to partitions
and reduces each partition. Both are plain functions that can be tested without Beam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pipelines.contracts import ids
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe

Payload = bytes | memoryview


@dataclass(frozen=True)
class Context:
    """Where a run works and by which recipe."""

    workspace: str
    recipe: Recipe


@dataclass(frozen=True)
class Task:
    """One unit of work.

    Attributes:
        stage: name of the stage.
        key: "00012" for a part or partition, "all" for the whole corpus.
        fingerprint: what the outputs depend on.
        payload: JSON values that the task needs (file ranges, shard bounds …).
        poison: record offsets that killed a worker before; they become dead letters.
    """

    stage: str
    key: str
    fingerprint: str
    payload: dict[str, Any] = field(default_factory=dict)
    poison: tuple[tuple[str, int], ...] = ()


class Progress(Protocol):
    """How a running task says that it is alive, and at which record."""

    def beat(self, documents: int, text_bytes: int) -> None:
        """Add finished documents and bytes; cheap, may be called per batch."""

    def at(self, path: str, offset: int) -> None:
        """Note the record that is about to be worked on (written through only when a worker died here)."""


class NoProgress:
    """Progress that goes nowhere, for tests and direct calls."""

    def beat(self, documents: int, text_bytes: int) -> None:
        """Do nothing."""

    def at(self, path: str, offset: int) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Piece:
    """A byte range of one input file; `end` is None for "to the end of the file"."""

    path: str
    start: int
    end: int | None


@dataclass(frozen=True)
class Part:
    """A unit of the plan: some pieces of one source, about `part_mb` of raw bytes."""

    number: int
    source: str
    pieces: tuple[Piece, ...]
    mark: str  # hash over (path, range, size, content mark) of the pieces

    @property
    def key(self) -> str:
        """The task key of the part."""
        return part_key(self.number)


def part_key(number: int) -> str:
    """Format a part or partition number as a task key."""
    return f"{number:05d}"


def part_file(table: str, part: int) -> str:
    """Return the path of a part's file of a table, relative to the workspace."""
    return f"{table}/part-{part:05d}.parquet"


@dataclass(frozen=True)
class Plan:
    """All parts of all generations, and the root folder of every source."""

    parts: tuple[Part, ...]
    roots: dict[str, str]
    raw_bytes: int

    @property
    def corpus_id(self) -> str:
        """Hash of every part's inputs."""
        return ids.fingerprint([part.mark for part in self.parts])


def _never(recipe: Recipe) -> bool:
    return False


@dataclass(frozen=True)
class MapStage:
    """A stage whose tasks read and write files on their own.

    Attributes:
        name: name; also the folder of its manifest.
        version: raised by hand when the output changes.
        upstream: stages whose outputs it reads.
        scope: "part" if a task depends on its own part only, "whole" if on everything upstream.
        literals: the recipe literals that it reads (they enter the fingerprint).
        plan: tasks, from the plan and the manifests upstream.
        run: does one task; returns its manifest (the caller commits it).
        idle: whether a recipe has no work for it; it then has no tasks, and what it reads stands for it upstream.
    """

    name: str
    version: int
    upstream: tuple[str, ...]
    scope: Literal["part", "whole"]
    literals: Callable[[Recipe], Any]
    plan: Callable[[Context, Plan, Lineage], list[Task]]
    run: Callable[[Context, Task, Progress], TaskManifest]
    idle: Callable[[Recipe], bool] = _never


@dataclass(frozen=True)
class ShuffleStage:
    """A stage that regroups data: `map` emits (partition, bytes), `reduce` sees all bytes of a partition.

    `reduce` must not depend on the order of the payloads; an empty payload means "nothing" and is skipped. Payloads may
    be views of mapped files, which take no memory of their own.
    """

    name: str
    version: int
    upstream: tuple[str, ...]
    scope: Literal["whole"]
    literals: Callable[[Recipe], Any]
    plan_map: Callable[[Context, Plan, Lineage], list[Task]]
    plan_reduce: Callable[[Context, Plan, Lineage], list[Task]]
    map: Callable[[Context, Task, Progress], Iterator[tuple[int, bytes]]]
    reduce: Callable[[Context, Task, Iterable[Payload], Progress], TaskManifest]
    idle: Callable[[Recipe], bool] = _never


Stage = MapStage | ShuffleStage


class Lineage:
    """Fingerprints of every stage and part, from the plan and the recipe alone (no stage need have run)."""

    def __init__(self, stages: Iterable[Stage], recipe: Recipe, plan: Plan) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._recipe = recipe
        self._marks = {part.number: part.mark for part in plan.parts}
        self._cache: dict[tuple[str, int | None], str] = {}

    def of(self, stage: str, part: int | None = None) -> str:
        """Return the fingerprint of a stage for one part, or (without `part`) for the whole corpus."""
        if (stage, part) not in self._cache:
            self._cache[stage, part] = self._compute(self._stages[stage], part)
        return self._cache[stage, part]

    def _compute(self, stage: Stage, part: int | None) -> str:
        if stage.scope == "part" and part is None:
            return ids.fingerprint(stage.name, [self.of(stage.name, number) for number in sorted(self._marks)])
        read = self.upstream_of(stage)
        upstream = [self.of(name, part if self._stages[name].scope == "part" else None) for name in read]
        own = [stage.name, stage.version, stage.literals(self._recipe), upstream]
        return ids.fingerprint(*own, self._marks[part] if part is not None else None)

    def working(self) -> list[str]:
        """Return the names of the stages that have work for the recipe, in their order."""
        return [name for name, stage in self._stages.items() if not stage.idle(self._recipe)]

    def upstream_of(self, stage: Stage) -> list[str]:
        """Return the stages that a stage waits for; what an idle one would read stands for it."""
        names: list[str] = []
        for name in stage.upstream:
            upstream = self._stages[name]
            names += self.upstream_of(upstream) if upstream.idle(self._recipe) else [name]
        return list(dict.fromkeys(names))


def part_tasks(stage: str) -> Callable[[Context, Plan, Lineage], list[Task]]:
    """Return a planner that makes one task per part."""

    def plan(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
        return [Task(stage, part.key, lineage.of(stage, part.number), {"part": part.number}) for part in plan.parts]

    return plan
