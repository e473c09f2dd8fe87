#!/usr/bin/env python
"""The front door: `mixtrace` after installation, `python beam_runner.py` in a checkout.

Every command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.evaluation import cli as evaluation
from analysis.quality.cli import classifier_app, perplexity_app
from pipelines.contracts.errors import MixtraceError
from pipelines.exports import cli as exports

app = typer.Typer(
    name="mixtrace",
    help="Turn raw text corpora into token shards, and measure what every part of them does to a language model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
design_app = typer.Typer(help="Plan ablation studies.", no_args_is_help=True)
report_app = typer.Typer(help="Make the DuckDB snapshot and the report.", no_args_is_help=True)
model_app = typer.Typer(help="Language models in and out, in the layout of `transformers`.", no_args_is_help=True)
app.add_typer(design_app, name="design")
app.add_typer(model_app, name="model")
app.add_typer(report_app, name="report")
model_app.command("generate", epilog=evaluation.GENERATE_EPILOG)(evaluation.generate)
model_app.command("finetune", epilog=evaluation.FINETUNE_EPILOG)(evaluation.finetune)
app.command("export", epilog=exports.EPILOG)(exports.export)
app.add_typer(classifier_app, name="classifier")
app.add_typer(perplexity_app, name="perplexity")

WorkspaceArgument = Annotated[Path, typer.Argument(help="Folder made by `mixtrace curate`.")]
DesignArgument = Annotated[Path, typer.Argument(help="Design file (YAML).", exists=True, dir_okay=False)]

_CURATE_EPILOG = """
**Examples**

`mixtrace curate recipes/demo.yaml` — on this machine, one worker per processor

`mixtrace curate recipes/demo.yaml --sample 1% --out /tmp/try` — try a recipe before paying for it

`mixtrace curate recipes/demo.yaml --dry-run` — what would be done, and why

`mixtrace curate recipes/demo.yaml --engine spark --spark_master_url=spark://host:7077` — on an engine; further flags go to Beam
"""


_REPLAY_EPILOG = """
**Examples**

`mixtrace replay build/web --dry-run` — which parts hold dead letters, of which errors, in which files

`mixtrace replay build/web` — redo them; repaired files may differ from what was planned

`mixtrace replay build/web --source forum --error damaged_compression` — only these
"""


_REMOVE_EPILOG = """
**Examples**

`mixtrace remove build/web --url https://example.org/page --reason "request 17" --dry-run` — what would go

`mixtrace remove build/web --file opt-out.txt --reason "opt-outs of May" --copies exact` — a list, and all copies

`mixtrace remove build/web` — complete a removal that was interrupted
"""


_EXPORT_EPILOG = """
**Example**

`mixtrace model export build/demo/analysis/1f0c/runs/full-0 /tmp/full` — then `AutoModelForCausalLM.from_pretrained("/tmp/full")`
"""

_EVALUATE_EPILOG = """
**Examples**

`mixtrace model evaluate /models/gpt2 build/demo` — per source, with the model's own tokenizer

`mixtrace model evaluate /models/gpt2 build/demo --design designs/demo.yaml --context 64` — per slice of a study, and with as little context as its proxies have
"""


_TASKS_EPILOG = """
**Examples**

`mixtrace model tasks build/demo/analysis/STUDY/runs/full-0` — minimal pairs of English and Chinese, by the run's own tokenizer

`mixtrace model tasks /models/gpt2 --tasks arc_easy,sciq,piqa,hellaswag,lambada --limit 500` — packaged tasks of OLMES (`pip install 'mixtrace[eval]'`)

`mixtrace model tasks build/demo/analysis/STUDY/runs/full-0 --tasks cloze,lambada` — last words, of the study's own targets and of LAMBADA

`mixtrace model tasks /models/gpt2 --tasks pairs_en --by-part --out items.parquet` — per phenomenon, and every item as a row
"""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=_CURATE_EPILOG,
)
def curate(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Recipe file (YAML).")],
    out: Annotated[
        str | None, typer.Option(help="Workspace: a folder or gs://, s3:// prefix. Default: build/<name>.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: one per processor.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine: a file of conf/runners without .toml, or a path.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="Take only this share of the records, by hash: 0.1% or 0.001.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and what would be done; do nothing.")
    ] = False,
    stall_timeout: Annotated[float | None, typer.Option(help="Seconds without progress that count as a stall.")] = None,
) -> None:
    """Curate: raw files to documents, signals, duplicates, decisions and token shards. Resumes after a kill."""
    from pipelines.beam.curate import CurateOptions, run_curate

    run_curate(CurateOptions(recipe, out, workers, engine, sample, dry_run, stall_timeout, tuple(context.args)))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=_REPLAY_EPILOG,
)
def replay(
    context: typer.Context,
    workspace: Annotated[str, typer.Argument(help="Workspace with dead letters: a folder or gs://, s3:// prefix.")],
    source: Annotated[str | None, typer.Option(help="Only parts of this source.")] = None,
    error: Annotated[str | None, typer.Option(help="Only parts with a dead letter of this error.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: one per processor.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine: a file of conf/runners without .toml, or a path.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be replayed; do nothing.")] = False,
) -> None:
    """Replay: after a fix (a repaired file, another library), redo just the parts that hold dead letters."""
    from pipelines.beam.curate import CurateOptions
    from pipelines.beam.replay import ReplayOptions, run_replay

    options = CurateOptions("", workspace, workers, engine, dry_run=dry_run, flags=tuple(context.args))
    run_replay(ReplayOptions(options, source, error))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=_REMOVE_EPILOG,
)
def remove(
    context: typer.Context,
    workspace: Annotated[str, typer.Argument(help="Finished workspace: a folder or gs://, s3:// prefix.")],
    url: Annotated[list[str] | None, typer.Option(help="URL, as the workspace has it; may repeat.")] = None,
    id: Annotated[list[str] | None, typer.Option("--id", help="doc_id (32 hex digits); may repeat.")] = None,
    native_id: Annotated[list[str] | None, typer.Option(help="Id in the source; may repeat.")] = None,
    file: Annotated[list[str] | None, typer.Option(help="List of URLs or ids, one per line; may repeat.")] = None,
    reason: Annotated[str, typer.Option(help="Why; the audit keeps it.")] = "",
    by: Annotated[str | None, typer.Option(help="Who asked for it; the audit keeps it.")] = None,
    copies: Annotated[
        str, typer.Option(help="Duplicates that go, too: none, exact (the same text) or near (linked as duplicates).")
    ] = "none",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: one per processor.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine: a file of conf/runners without .toml, or a path.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed; do nothing.")] = False,
) -> None:
    """Remove: take documents out of a curated corpus, shards included, for good, with an audit."""
    from pipelines.beam.curate import CurateOptions
    from pipelines.beam.remove import RemoveOptions, run_remove
    from pipelines.removal import Selector, read_selectors

    named = [
        *(Selector("url", value) for value in url or ()),
        *(Selector("id", value) for value in id or ()),
        *(Selector("native_id", value) for value in native_id or ()),
        *(selector for path in file or () for selector in read_selectors(path)),
    ]
    options = CurateOptions("", workspace, workers, engine, dry_run=dry_run, flags=tuple(context.args))
    run_remove(RemoveOptions(options, tuple(named), reason, by, copies))


@app.command()
def verify(
    workspace: WorkspaceArgument,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: one per processor.")] = None,
) -> None:
    """Recompute what a workspace claims: accounts, file hashes, duplicates, tokens against texts."""
    from pipelines.beam.curate import run_verify

    run_verify(str(workspace), workers)


@app.command()
def explain(
    workspace: WorkspaceArgument,
    document: Annotated[str, typer.Argument(help="doc_id, native id or URL.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the life of one document: record, edits, signals, duplicates, every rule, shard and row."""
    from pipelines.explain import run_explain

    run_explain(str(workspace), document, as_json=json)


@design_app.command("plan")
def design_plan(workspace: WorkspaceArgument, design: DesignArgument) -> None:
    """Say what a study will cost and what it can detect, before anything is trained."""
    from analysis.commands import design_plan as run

    run(workspace, design)


EXTEND_EPILOG = """Examples:

`mixtrace design extend build/demo 3f2a9c41d07e --blocks 3` — then `mixtrace train` with the same design file runs them

A design must allow for it before its first result: `looks: {max_blocks: 10}` in its file. Every look is logged in the table
`looks`, and verdicts are then given at the level that its spending function leaves."""


@design_app.command("extend", epilog=EXTEND_EPILOG)
def design_extend(
    workspace: WorkspaceArgument,
    study: Annotated[str, typer.Argument(help="design_id of the study.")],
    blocks: Annotated[int, typer.Option(min=1, help="Blocks to add.")],
) -> None:
    """Add blocks to a study after a look at its results; the look is logged and its alpha is spent."""
    from analysis.commands import design_extend as run

    run(workspace, study, blocks)


@app.command()
def train(
    workspace: WorkspaceArgument,
    design: DesignArgument,
    workers: Annotated[int | None, typer.Option(min=1, help="Training processes. Default: one per processor.")] = None,
    stack: Annotated[
        int | None, typer.Option(min=1, help="Runs trained at once on one device. Default: 64 on a GPU, else 1.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that train each run together (DDP; one per GPU), for larger proxies.")
    ] = 1,
) -> None:
    """Train and evaluate the proxies of a design; runs resume, a finished run is never repeated."""
    from analysis.commands import train as run
    from pipelines.beam.local import default_workers

    run(workspace, design, workers or default_workers(), stack, processes)


_SWEEP_EPILOG = """
**Examples**

`mixtrace sweep build/demo designs/demo.yaml` — on this machine; the same files as `mixtrace train`

`mixtrace sweep build/demo designs/demo.yaml --engine prism --prism_location=$HOME/prism` — on an engine; further flags go to Beam

`mixtrace sweep /mnt/ws designs/big.yaml --engine dataflow --device cuda --accelerator 'type:nvidia-l4;count:1;install-nvidia-driver'`
"""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=_SWEEP_EPILOG,
)
def sweep(
    context: typer.Context,
    workspace: WorkspaceArgument,
    design: DesignArgument,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes here. Default: one per processor.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Engine: a file of conf/runners without .toml, or a path.")] = None,
    device: Annotated[str, typer.Option(help="What workers train on: auto, cpu or cuda.")] = "auto",
    accelerator: Annotated[
        str | None, typer.Option(help="Resource hint of the training step, as Beam writes it.")
    ] = None,
    ram: Annotated[str | None, typer.Option(help="Resource hint: least memory of a worker, e.g. 6GB.")] = None,
) -> None:
    """Train the proxies of a design as Beam elements: the runs of `train`, on any engine whose workers see the workspace."""
    from analysis import commands
    from analysis.study_runs import elements, train_element
    from pipelines.beam.curate import CurateOptions, choose_engine
    from pipelines.beam.local import default_workers
    from pipelines.beam.sweep import SweepWork, run_sweep

    chosen = choose_engine(CurateOptions("", str(workspace), workers, engine, flags=tuple(context.args)))
    runs, numerics = commands.prepare(workspace, design, workers or default_workers(), device)
    jobs = elements(runs, numerics)
    hints = {name: value for name, value in (("accelerator", accelerator), ("min_ram", ram)) if value}
    if jobs:
        work = SweepWork(train_element, jobs, lambda: commands.progress(runs), hints)
        run_sweep(work, chosen, workers or default_workers(), commands.RunsLeft(runs).show)
    commands.finish_study(runs)


_EFFECTS_EPILOG = """
**Examples**

`mixtrace effects build/demo` — controls, effects, decisions of the newest study

`mixtrace effects build/demo --plus "without_books on code" --minus "without_code on code"` — is one effect larger than another? Effects
share their baseline, so their intervals do not tell
"""


@app.command(epilog=_EFFECTS_EPILOG)
def effects(
    workspace: WorkspaceArgument,
    design: Annotated[str | None, typer.Option(help="design_id; default: the newest design.")] = None,
    plus: Annotated[
        list[str] | None, typer.Option(help="Contrast to add up, by name; with it only the sum is printed.")
    ] = None,
    minus: Annotated[list[str] | None, typer.Option(help="Contrast to take away.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate the effects of a study, with intervals, controls, verdicts and what follows for its decisions."""
    from analysis.derived import run_derived
    from analysis.effects_command import run_effects

    if plus or minus:
        run_derived(workspace, design, plus or [], minus or [])
        return
    run_effects(workspace, design, as_json=json)


_LADDER_EPILOG = """
**Examples**

`mixtrace ladder build/demo` — all studies of the workspace whose effects were estimated

`mixtrace ladder build/demo 1f0c2ab3d4e5 9a7b6c5d4e3f --top 9a7b6c5d4e3f` — two of them, compared with the second

Studies of one design are rungs if they differ in `proxy` or `tokens` only (`proxy: {model: ngram}` is the lowest).
"""


@app.command(epilog=_LADDER_EPILOG)
def ladder(
    workspace: WorkspaceArgument,
    studies: Annotated[list[str] | None, typer.Argument(help="design_ids; default: all.")] = None,
    top: Annotated[str | None, typer.Option(help="design_id to compare with; default: the dearest per run.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which cheap proxies rank slices and decisions as a dear one does, and which is the cheapest that decides a question."""
    from analysis.influence.ladder_command import run_ladder

    run_ladder(workspace, studies or [], top, as_json=json)


_LAWS_EPILOG = """
**Examples**

`mixtrace laws build/demo` — of the newest swarm: laws, learning curve, what they predict; the optimum stays withheld

`mixtrace laws build/demo --confirm` — trains the optimum and the natural mixture in 5 blocks of fresh seeds, then prints it

`mixtrace laws build/demo 8fdca47d1727 --confirm --baselines --json` — RegMix, MixMin and uniform measured, too; all tables as JSON
"""


@app.command(epilog=_LAWS_EPILOG)
def laws(
    workspace: WorkspaceArgument,
    study: Annotated[str | None, typer.Argument(help="design_id of a swarm; default: the newest.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Train the optimum against natural with fresh seeds, 5 blocks each.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="With --confirm: uniform, RegMix and MixMin, too.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Training processes. Default: one per processor.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn from a swarm how the weights of slices set the losses, and find and confirm the best mixture."""
    from analysis.laws.command import LawOptions, run_laws
    from pipelines.beam.local import default_workers

    run_laws(workspace, study, LawOptions(confirm, baselines, workers or default_workers()), as_json=json)


_INFLUENCE_EPILOG = """
**Examples**

`mixtrace influence build/demo` — the newest study; EK-FAC, and TracIn where the design keeps `snapshots`

`mixtrace influence build/demo --method ekfac --document-rows 4096 --top 20` — more documents

`mixtrace influence build/demo --text letter.txt` — trace a text of your own: which slice raised which tokens
"""


@app.command(epilog=_INFLUENCE_EPILOG)
def influence(
    workspace: WorkspaceArgument,
    design: Annotated[str | None, typer.Option(help="design_id; default: the newest design.")] = None,
    method: Annotated[str, typer.Option(help="ekfac, tracin; separated by commas.")] = "ekfac,tracin",
    unit_rows: Annotated[int, typer.Option(min=1, help="Training rows per unit, at most.")] = 128,
    document_rows: Annotated[
        int, typer.Option(min=0, help="Training rows of one run whose documents are scored; 0: none.")
    ] = 1024,
    top: Annotated[int, typer.Option(min=1, help="Most helpful and most harmful documents per target.")] = 10,
    text: Annotated[list[Path] | None, typer.Option(help="File whose tokens are traced; may repeat.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Attribute held-out loss to slices and documents by gradients, trace tokens, and say what retraining makes of it."""
    from analysis.influence.command import Options, run_influence

    methods = tuple(method.split(","))
    run_influence(workspace, design, Options(methods, unit_rows, document_rows, top, tuple(text or ()), json))


@model_app.command("export", epilog=_EXPORT_EPILOG)
def model_export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run: WORKSPACE/analysis/STUDY/runs/RUN.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    workspace: Annotated[Path | None, typer.Option(help="Workspace that the run belongs to, if moved.")] = None,
) -> None:
    """Write a run as a model that `transformers` opens in one line: weights, config and tokenizer."""
    from analysis.models.hf_export import export_run

    export_run(run, out, workspace)
    typer.echo(str(out))


@model_app.command("evaluate", epilog=_EVALUATE_EPILOG)
def model_evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a causal model with its tokenizer, or of a run.")],
    workspace: WorkspaceArgument,
    design: Annotated[Path | None, typer.Option(help="Design whose slices are the targets. Default: sources.")] = None,
    tokens: Annotated[int, typer.Option(min=256, help="Held-out tokens per target and population.")] = 12_000,
    context: Annotated[int | None, typer.Option(min=2, help="Tokens per row. Default: the model's, <= 1024.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bits per byte of any causal language model on disk, on the held-out documents of a workspace."""
    from analysis.evaluate_model import run_evaluate_model

    run_evaluate_model(model, workspace, design, tokens, context, device, json)


@model_app.command("tasks", epilog=_TASKS_EPILOG)
def model_tasks(
    model: Annotated[Path, typer.Argument(help="Folder of a causal model with its tokenizer, or of a run.")],
    tasks: Annotated[
        str,
        typer.Option(help="pairs_en, pairs_zh, cloze, arc_easy, sciq, piqa, hellaswag, lambada; separated by commas."),
    ] = "pairs_en,pairs_zh",
    limit: Annotated[int, typer.Option(min=1, help="Items per task; of pairs, per phenomenon and at most 200.")] = 100,
    workspace: Annotated[Path | None, typer.Option(help="Workspace that a run belongs to, if moved.")] = None,
    context: Annotated[int | None, typer.Option(min=2, help="Tokens per row. Default: the model's, <= 1024.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    by_part: Annotated[bool, typer.Option("--by-part", help="A row per phenomenon.")] = False,
    out: Annotated[Path | None, typer.Option(help="Parquet file for the scores of every item.")] = None,
    design: Annotated[Path | None, typer.Option(help="Design whose slices are the targets of cloze.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a model questions: minimal pairs of grammar, and benchmark tasks as margins and bits per byte."""
    from analysis.evaluation.task_command import run_tasks

    run_tasks(model, tasks.split(","), limit, workspace, context, device, by_part, out, json, design)


@report_app.command("build")
def report_build(workspace: WorkspaceArgument) -> None:
    """Publish a DuckDB snapshot and write the self-contained report.html."""
    from reports.commands import build

    typer.echo(str(build(workspace)))


def main() -> None:
    """Run the command line; our own errors become one message and an exit code."""
    try:
        app(standalone_mode=True)
    except MixtraceError as error:
        print(f"error: {error.message}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; the same command resumes", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
