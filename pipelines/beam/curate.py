"""The command `curate`: recipe and flags in, a finished workspace out."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType

from pipelines.beam.display import Display
from pipelines.beam.driver import (
    Executor,
    first_unfinished,
    load_workspace,
    open_workspace,
    run_stages,
    software_versions,
    tasks_of,
)
from pipelines.beam.flags import EngineConfig, check_flags, flag_value, load_engine
from pipelines.beam.local import LocalExecutor, default_workers
from pipelines.beam.warm import warm_kernels
from pipelines.contracts import manifest, storage, tables
from pipelines.contracts.errors import ConfigError, DataQualityError, StageError, message
from pipelines.contracts.recipe import Recipe, load_recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan
from pipelines.ops.eval_items import item_files
from pipelines.ops.language import check_language
from pipelines.ops.list_files import read_list
from pipelines.ops.privacy.mask import make_masker
from pipelines.ops.quality_models import check_models
from pipelines.ops.rules import signal_groups
from pipelines.ops.tombstones import refuse_pending
from pipelines.stages import STAGES
from pipelines.stages.earlier import check_earlier
from pipelines.stages.tokenizer import FERTILITY_FILE

_STALL_S = 900.0
_REFUSED = {
    "DaskRunner": "it loses data silently: of two branches only the last one runs, and tagged outputs are mixed",
    "DirectRunner": "it looks for a Prism binary on the network; use no --runner, or FnApiRunner",
}


@dataclass(frozen=True)
class CurateOptions:
    """What the command line said."""

    recipe: str
    out: str | None = None
    workers: int | None = None
    engine: str | None = None
    sample: str | None = None
    dry_run: bool = False
    stall_timeout: float | None = None
    flags: tuple[str, ...] = ()


def run_curate(options: CurateOptions) -> None:
    """Curate a corpus, or say what would be done.

    Raises:
        ConfigError, InputError: before any work.
        StageError, ResourceError: a stage failed; the same command resumes.
        DataQualityError: too many dead letters; everything else is kept.
    """
    recipe = with_sample(load_recipe(options.recipe), options.sample)
    check_recipe(recipe)
    engine = choose_engine(options)
    workspace = options.out or f"build/{recipe.name}"
    refuse_pending(workspace)
    check_earlier(recipe, workspace)
    context, plan = open_workspace(recipe, workspace, write=not options.dry_run)
    if options.dry_run:
        print_dry_run(context, plan)
        return
    if engine is None and (options.workers or default_workers()) > 1:  # a single process compiles as it goes
        warm_kernels(recipe)
    display = Display()
    executor = make_executor(options, engine, display)
    stop_on_signals()
    try:
        run_stages(context, plan, executor, display)
        print_summary(context)
    except DataQualityError:
        print_summary(context)
        raise
    finally:
        display.close()
        executor.close()


def check_recipe(recipe: Recipe) -> None:
    """Find what is wrong with a recipe or its side files before any work.

    Raises:
        ConfigError: unknown rules or signals; list files, models or evaluation items that are not there; no key
            for masks.
    """
    signal_groups(recipe)
    make_masker(recipe.pii)
    check_language(recipe.language)
    for path in recipe.lists.paths:
        read_list(path)
    for items in recipe.decontaminate.items:
        item_files(items)
    check_models(recipe)


def choose_engine(options: CurateOptions) -> EngineConfig | None:
    """Combine the engine file and the flags; None means this machine."""
    base = load_engine(options.engine) if options.engine else EngineConfig("command line", (), {}, _STALL_S)
    flags = (*base.flags, *options.flags)
    if flags:
        check_flags(flags)
    runner = flag_value(flags, "runner") or "local"
    if runner.rpartition(".")[2] in _REFUSED:
        raise ConfigError(
            message(f"--runner={runner}", "refused", runner, "another runner", _REFUSED[runner.rpartition(".")[2]])
        )
    if runner == "local":
        return None
    return EngineConfig(base.name, flags, base.environment, options.stall_timeout or base.stall_s)


def make_executor(options: CurateOptions, engine: EngineConfig | None, display: Display) -> Executor:
    """Make what runs the stages: this machine's pool, or an engine."""
    if engine is None:
        return LocalExecutor(options.workers or default_workers(), options.stall_timeout or _STALL_S, display.show)
    from pipelines.beam.engine import EngineExecutor

    return EngineExecutor(engine, display.show)


def with_sample(recipe: Recipe, sample: str | None) -> Recipe:
    """Return the recipe with the share of records that `--sample` names ("0.1%" or "0.001").

    Raises:
        ConfigError: if it is not a share in (0, 1].
    """
    if sample is None:
        return recipe
    try:
        share = float(sample.removesuffix("%")) / (100 if sample.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigError(
            message("--sample", "not a share", sample, "a number in (0, 1], or a percentage such as 0.1%")
        )
    return recipe.model_copy(update={"sample": share})


def print_dry_run(context: Context, plan: Plan) -> None:
    """Print parts, stages, and how many tasks of each are to do."""
    print(f"recipe {context.recipe.name} ({context.recipe.recipe_id}), workspace {context.workspace}")
    print(f"{len(plan.parts)} parts, {plan.raw_bytes / 1e6:,.1f} MB raw, {len(context.recipe.sources)} sources")
    lineage = Lineage(STAGES.values(), context.recipe, plan)
    for stage in STAGES.values():
        if stage.idle(context.recipe):
            continue
        upstream = lineage.upstream_of(stage)
        if any(_pending(context, lineage, plan, name) for name in upstream):
            print(f"  {stage.name:<11} to do, after {', '.join(upstream)}")
            continue
        work = tasks_of(context, plan, lineage, stage)
        print(f"  {stage.name:<11} {len(work.missing)} of {len(work.keys)} tasks to do")


def _pending(context: Context, lineage: Lineage, plan: Plan, name: str) -> bool:
    """Say whether a stage still has to run (without reading outputs that may not exist)."""
    stage = STAGES[name]
    done = manifest.read_tasks(context.workspace, name)
    if stage.scope == "part":
        return any(p.key not in done or done[p.key].fingerprint != lineage.of(name, p.number) for p in plan.parts)
    return not done or any(task.fingerprint != lineage.of(name) for task in done.values())


def print_summary(context: Context) -> None:
    """Print what became of the records, as far as the stages have run."""
    if not manifest.read_tasks(context.workspace, "ingest"):
        return
    read = manifest.read_stage(context.workspace, "ingest").counts
    others = sum(count for name, count in read.items() if name.startswith("nondocuments/"))
    print(f"records {read['records']:,} = documents {read['documents']:,} + non-documents {others:,} "
          f"+ dead letters {read['dead_letters']:,}")  # fmt: skip
    for name, count in sorted(read.items()):
        if name.startswith("dead_letters/"):
            print(f"  dead letters: {name.partition('/')[2]} {count:,}")
    if not manifest.read_tasks(context.workspace, "decide"):
        return
    decided = manifest.read_stage(context.workspace, "decide").counts
    print(f"documents kept {decided['kept/documents']:,} ({decided['kept/text_bytes'] / 1e6:,.1f} MB), "
          f"dropped {decided['rejected/documents']:,} ({decided['rejected/text_bytes'] / 1e6:,.1f} MB)")  # fmt: skip
    for name, count in sorted(decided.items(), key=lambda item: -item[1]):
        if name.startswith("dropped/") and name.endswith("/documents"):
            print(f"  dropped: {name.split('/')[1]} {count:,}")
    print_fertility(context.workspace)


def print_fertility(workspace: str) -> None:
    """Print how many tokens the tokenizer makes of the commonest languages."""
    if not storage.exists(storage.join(workspace, FERTILITY_FILE)):
        return
    rows = tables.read_table(workspace, FERTILITY_FILE).to_pylist()
    shown = (f"{row['lang']} {row['bytes_per_token']:.2f}" for row in rows[:8])
    print(f"bytes per token: {', '.join(shown)}{' ...' if len(rows) > 8 else ''} (tokenizer/fertility.parquet)")


def run_verify(workspace: str, workers: int | None) -> None:
    """Verify a workspace from scratch.

    Raises:
        VerifyError: naming what contradicts what.
    """
    refuse_pending(workspace)
    context, plan = load_workspace(workspace)
    name = first_unfinished(context, plan, (name for name in STAGES if name != "verify"))
    if name:
        raise StageError(message(workspace, f"stage {name} is not finished", "missing tasks", "a finished workspace"))
    display = Display()
    executor = LocalExecutor(workers or default_workers(), _STALL_S, display.show)
    stage, lineage = STAGES["verify"], Lineage(STAGES.values(), context.recipe, plan)
    assert not isinstance(stage, MapStage)
    work = tasks_of(context, plan, lineage, stage)
    reduces = stage.plan_reduce(context, plan, lineage)
    stop_on_signals()
    try:
        display.stage_started("verify", len(reduces), 0)
        executor.run_shuffle(context, stage, list(work.maps), reduces)
        merged = manifest.merge(workspace, "verify", [task.key for task in reduces], software_versions())
        display.stage_finished("verify", merged.counts)
    finally:
        display.close()
        executor.close()
    checked = ", ".join(f"{name.partition('/')[2]} {count:,}" for name, count in sorted(merged.counts.items()))
    print(f"verified: {checked}")


def stop_on_signals() -> None:
    """Turn SIGTERM into the same orderly stop as Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> None:
        print("stopping; the same command resumes", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
