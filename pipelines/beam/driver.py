"""The driver: loop over the stages, see what is done, submit what is missing, merge manifests."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from pipelines.beam.progress import marker_folder
from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import DataQualityError, InputError, message
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, ShuffleStage, Stage, Task
from pipelines.planning import load_plan, make_plan
from pipelines.stages import STAGES

RECIPE_FILE = "recipe.json"


class Executor(Protocol):
    """Where stages run: this machine, or an engine."""

    def run_map(self, context: Context, stage: MapStage, tasks: list[Task]) -> None:
        """Run the tasks of a map stage."""

    def run_shuffle(self, context: Context, stage: ShuffleStage, maps: list[Task], reduces: list[Task]) -> None:
        """Run a shuffle for the given reduce tasks."""

    def close(self) -> None:
        """Free what the executor holds."""


class Display(Protocol):
    """Who is told what happens."""

    def stage_started(self, stage: str, todo: int, done: int) -> None:
        """A stage begins; `todo` tasks are to do, `done` are done already."""

    def stage_finished(self, stage: str, counts: dict[str, int]) -> None:
        """A stage is finished, with its summed counts."""


@dataclass(frozen=True)
class StageWork:
    """What a stage has to do: all its task keys, and the tasks whose manifest is not current."""

    keys: tuple[str, ...]
    missing: tuple[Task, ...]
    maps: tuple[Task, ...] = ()


def tasks_of(context: Context, plan: Plan, lineage: Lineage, stage: Stage) -> StageWork:
    """Compare the tasks of a stage with its manifests; an idle one has none."""
    if stage.idle(context.recipe):
        return StageWork((), ())
    if isinstance(stage, MapStage):
        tasks, maps = stage.plan(context, plan, lineage), []
    else:
        tasks, maps = stage.plan_reduce(context, plan, lineage), stage.plan_map(context, plan, lineage)
    done = manifest.read_tasks(context.workspace, stage.name)
    missing = [task for task in tasks if task.key not in done or done[task.key].fingerprint != task.fingerprint]
    return StageWork(tuple(task.key for task in tasks), tuple(missing), tuple(maps))


def first_unfinished(context: Context, plan: Plan, names: Iterable[str]) -> str | None:
    """Return the first of some stages, in their order, that has tasks to do (those after it cannot even be planned)."""
    lineage = Lineage(STAGES.values(), context.recipe, plan)
    return next((name for name in names if tasks_of(context, plan, lineage, STAGES[name]).missing), None)


def run_stages(context: Context, plan: Plan, executor: Executor, display: Display, until: str | None = None) -> None:
    """Run all stages (or up to and including one) that are not done.

    Raises:
        DataQualityError: after everything else is done, if too many input bytes were dead letters.
    """
    lineage = Lineage(STAGES.values(), context.recipe, plan)
    for stage in STAGES.values():
        run_stage(context, plan, lineage, stage, executor, display)
        if stage.name == until:
            break
    check_dead_letters(context)


def run_stage(
    context: Context, plan: Plan, lineage: Lineage, stage: Stage, executor: Executor, display: Display
) -> manifest.StageManifest:
    """Run the tasks of a stage that are not done, merge its manifests, and do so again while it plans further ones."""
    while True:
        work = tasks_of(context, plan, lineage, stage)
        merged = _run_work(context, stage, work, executor, display)
        if not work.missing:
            return merged
        planned = {task.key for task in tasks_of(context, plan, lineage, stage).missing}
        if not planned or planned == {task.key for task in work.missing}:
            return merged


def _run_work(
    context: Context, stage: Stage, work: StageWork, executor: Executor, display: Display
) -> manifest.StageManifest:
    idle = stage.idle(context.recipe)
    if not idle:
        display.stage_started(stage.name, len(work.missing), len(work.keys) - len(work.missing))
    if work.missing:
        storage.remove_tree(marker_folder(context.workspace, stage.name))
        if isinstance(stage, MapStage):
            executor.run_map(context, stage, list(work.missing))
        else:
            executor.run_shuffle(context, stage, list(work.maps), list(work.missing))
    merged = manifest.merge(context.workspace, stage.name, work.keys, software_versions())
    storage.remove_tree(marker_folder(context.workspace, stage.name))
    if not idle:
        display.stage_finished(stage.name, merged.counts)
    return merged


def check_dead_letters(context: Context) -> None:
    """Compare the share of input bytes that went to dead letters with the recipe's limit.

    Raises:
        DataQualityError: if it is exceeded.
    """
    counts = manifest.read_stage(context.workspace, "ingest").counts
    lost, read = counts["dead_letter_bytes"], max(1, counts["raw_bytes"])
    limit = context.recipe.limits.max_dead_letter_fraction
    if lost / read > limit:
        raise DataQualityError(
            message(
                "dead letters",
                "too many input bytes could not be read",
                f"{lost} of {read} bytes ({lost / read:.2%})",
                f"at most limits.max_dead_letter_fraction = {limit:.2%}",
                "Everything else was kept; see the table dead_letters for file, offset and cause.",
            )
        )


def open_workspace(recipe: Recipe, workspace: str, *, write: bool = True) -> tuple[Context, Plan]:
    """Plan (or extend the plan of) a workspace and save the resolved recipe in it.

    Raises:
        InputError: if the workspace cannot be written, or belongs to another recipe.
    """
    saved = load_saved_recipe(workspace, missing_ok=True)
    if saved is not None and saved.name != recipe.name:
        raise InputError(
            message(workspace, "workspace of another recipe", saved.name, recipe.name, "Choose another --out.")
        )
    plan = make_plan(recipe, workspace, write=False)
    if write:
        try:
            storage.remove_temporaries(workspace)
            storage.write_bytes(storage.join(workspace, RECIPE_FILE), recipe.model_dump_json(indent=1).encode())
        except PermissionError as error:
            raise InputError(
                message(workspace, "cannot be written", str(error), "a writable folder or bucket")
            ) from error
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(message(workspace, "not a folder", str(error), "a folder or bucket prefix")) from error
        plan = make_plan(recipe, workspace)
    return Context(workspace, recipe), plan


def load_saved_recipe(workspace: str, *, missing_ok: bool = False) -> Recipe | None:
    """Read the resolved recipe of a workspace.

    Raises:
        InputError: if there is none and that is not allowed.
    """
    path = storage.join(workspace, RECIPE_FILE)
    if storage.exists(path):
        return Recipe.model_validate_json(storage.read_bytes(path))
    if missing_ok:
        return None
    raise InputError(message(workspace, "not a workspace", "no recipe.json", "a folder made by `mixtrace curate`"))


def load_workspace(workspace: str) -> tuple[Context, Plan]:
    """Open a workspace for reading."""
    recipe = load_saved_recipe(workspace)
    assert recipe is not None
    return Context(workspace, recipe), load_plan(recipe, workspace)


def software_versions() -> dict[str, str]:
    """Return the versions that a manifest states."""
    names = ("mixtrace", "apache-beam", "pyarrow", "numpy", "numba", "tokenizers", "resiliparse")
    found = {name: version(name) for name in names if _installed(name)}
    return {**found, "python": platform.python_version(), "machine": platform.machine()}


def _installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
