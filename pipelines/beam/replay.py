"""The command `replay`: after a fix, redo just the tasks that hold dead letters, and what depends on them.

What is forgotten is forgotten from the last stage to the first, so that a replay which is killed leaves a workspace
that `curate` completes. Whatever comes out of the redone parts unchanged is not followed further.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipelines.beam.curate import CurateOptions, check_recipe, choose_engine, make_executor, stop_on_signals
from pipelines.beam.display import Display
from pipelines.beam.driver import check_dead_letters, load_workspace, run_stage
from pipelines.contracts import manifest
from pipelines.contracts.errors import ConfigError, did_you_mean, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.tasks import Context, Lineage, Part, Plan, Stage
from pipelines.ops.tombstones import refuse_pending
from pipelines.planning import repair_plan
from pipelines.stages import STAGES

Tasks = dict[str, TaskManifest]


@dataclass(frozen=True)
class ReplayOptions:
    """What the command line said.

    Attributes:
        curate: workspace (`out`), workers, engine and flags, as of `curate`.
        source: only tasks of this source.
        error: only tasks with a dead letter of this error.
    """

    curate: CurateOptions
    source: str | None = None
    error: str | None = None


def run_replay(options: ReplayOptions) -> None:
    """Redo the tasks of a workspace that hold dead letters.

    Raises:
        ConfigError, InputError: before any work.
        StageError, ResourceError: a stage failed; `curate` resumes.
        DataQualityError: still too many dead letters; everything else is kept.
    """
    workspace = options.curate.out or ""
    refuse_pending(workspace)
    context, plan = load_workspace(workspace)
    check_recipe(context.recipe)
    before = manifest.read_stage(workspace, "ingest").tasks
    parts = parts_to_replay(plan, before, options.source, options.error)
    _print_plan(parts, before)
    if not parts:
        return
    engine = choose_engine(options.curate)
    numbers = {part.number for part in parts}
    plan = repair_plan(context.recipe, workspace, numbers, write=not options.curate.dry_run)
    if options.curate.dry_run:
        return
    display = Display()
    executor = make_executor(options.curate, engine, display)
    stop_on_signals()
    try:
        lineage = Lineage(STAGES.values(), context.recipe, plan)
        forgotten = _forget(context, [part.key for part in parts])
        stages = iter(STAGES.values())
        after = run_stage(context, plan, lineage, next(stages), executor, display).tasks
        _remember(context, forgotten, before, after)
        for stage in stages:
            run_stage(context, plan, lineage, stage, executor, display)
    finally:
        display.close()
        executor.close()
    _print_outcome(before, after)
    check_dead_letters(context)


def parts_to_replay(plan: Plan, ingested: Tasks, source: str | None, error: str | None) -> list[Part]:
    """Choose the parts with dead letters.

    Raises:
        ConfigError: if the source or the error does not occur in the workspace.
    """
    errors = {name.partition("/")[2] for task in ingested.values() for name in task.counts if _is_error(name)}
    for value, known, flag in (
        (source, {part.source for part in plan.parts}, "--source"),
        (error, errors, "--error"),
    ):
        if value is not None and value not in known:
            expected = ", ".join(sorted(known)) or "none: there are no dead letters"
            raise ConfigError(message(flag, "not in this workspace", value, expected, did_you_mean(value, known)))
    count = "dead_letters" if error is None else f"dead_letters/{error}"
    return [
        part
        for part in plan.parts
        if part.key in ingested and ingested[part.key].counts.get(count, 0) and source in (None, part.source)
    ]


def _is_error(name: str) -> bool:
    return name.startswith("dead_letters/")


def _forget(context: Context, keys: list[str]) -> dict[str, Tasks]:
    """Forget ingestion of some parts, and all that depends on it; returns what was forgotten, by stage."""
    forgotten = {}
    for name, stage in reversed(STAGES.items()):
        own = _concerns_own_part(context, stage)
        forgotten[name] = manifest.forget(context.workspace, name, keys if own else None)
    return forgotten


def _concerns_own_part(context: Context, stage: Stage) -> bool:
    """Say whether new documents of a part change nothing of other parts in this stage; repeated lines link all of them."""
    return stage.scope == "part" and (stage.name == "ingest" or context.recipe.lines is None)


def _remember(context: Context, forgotten: dict[str, Tasks], before: Tasks, after: Tasks) -> None:
    """Take back what was forgotten of parts whose documents came out unchanged."""
    same = {key for key in forgotten["ingest"] if before[key].outputs == after[key].outputs}
    all_same = same == set(forgotten["ingest"])
    for name, stage in STAGES.items():
        for key, task in forgotten[name].items():
            if name != "ingest" and (all_same or (_concerns_own_part(context, stage) and key in same)):
                manifest.commit(context.workspace, task)


def _print_plan(parts: list[Part], ingested: Tasks) -> None:
    held = sum(task.counts.get("dead_letters", 0) > 0 for task in ingested.values())
    print(f"{held} of {len(ingested)} parts hold dead letters; {len(parts)} of them to replay")
    for part in parts:
        errors = {name.partition("/")[2]: n for name, n in ingested[part.key].counts.items() if _is_error(name)}
        files = ", ".join(dict.fromkeys(piece.path for piece in part.pieces))
        what = ", ".join(f"{name} {count:,}" for name, count in sorted(errors.items()))
        print(f"  part {part.key} {part.source}: {what} in {files[:200]}")


def _print_outcome(before: Tasks, after: Tasks) -> None:
    old, new = (_sum(tasks) for tasks in (before, after))
    names = ["records", "documents", *sorted(n for n in old | new if n == "dead_letters" or _is_error(n))]
    for name in names:
        print(f"  {name:<34} {old[name]:>12,} -> {new[name]:>12,}")


def _sum(tasks: Tasks) -> Counter[str]:
    total: Counter[str] = Counter()
    for task in tasks.values():
        total.update(task.counts)
    return total
