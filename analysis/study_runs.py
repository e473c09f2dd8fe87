"""The runs of a study: what each trains on, is scored on, and where it lies; the same for `train` and `sweep`.

A sweep's element is small (`RunElement`): a worker anywhere rebuilds the run from the workspace, and refuses
to train if it sees another corpus than the driver did.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from analysis.data import HeldOut
from analysis.design_data import cell_stream, design_of, study_proxy
from analysis.design_file import DesignSpec
from analysis.designs import Cell, Design
from analysis.evaluation import cloze
from analysis.evaluation.choice import ChoiceItem, build_choice_items, vocabulary_bytes
from analysis.evaluation.task_command import cloze_heldouts
from analysis.evaluation.tasks import TASK_ITEMS, task_items
from analysis.evaluation.text_items import EncodedItem, TextEncoder, encode_items
from analysis.heldout import canary_set, heldout_sets
from analysis.models import Proxy
from analysis.ngram_study import ngram_runs
from analysis.records import study_folder
from analysis.shards import check_corpus
from analysis.slices import Atoms
from analysis.training.probe import Numerics
from analysis.training.scheduler import WorkItem
from analysis.training.trainer import RunJob, model_seed, run_job
from pipelines.contracts.errors import ConfigError, InputError, message


@dataclass(frozen=True)
class StudyRuns:
    """What the runs of a study share.

    Attributes:
        workspace: curated workspace.
        design: cells, blocks, proxy.
        atoms: its documents.
        proxy: what is trained.
        heldouts: what it is scored on.
        items: continuation questions.
        tasks: questions written as text, encoded by the workspace's tokenizer.
    """

    workspace: Path
    design: Design
    atoms: Atoms
    proxy: Proxy
    heldouts: Sequence[HeldOut]
    items: Sequence[ChoiceItem]
    tasks: Sequence[EncodedItem] = ()

    @property
    def study(self) -> Path:
        """Folder of the study."""
        return study_folder(self.workspace, self.design.design_id)

    def job(self, cell: Cell, block: int, numerics: Numerics) -> RunJob:
        """Return one run."""
        seed = model_seed(self.design.spec.seed, block if cell.vary in ("all", "init") else 0)
        labels = {"design_id": self.design.design_id, "cell": cell.name, "block": block, "seed": seed}
        stream = cell_stream(self.workspace, self.design, self.atoms, cell, block)
        folder = self.study / "runs" / f"{cell.name}-{block}"
        proxy = self.proxy if cell.lr is None else self.proxy.model_copy(update={"lr": cell.lr})
        kept = (self.design.spec.snapshots or 0) if cell == self.design.cells[0] else 0
        job = RunJob(proxy, stream, seed, folder, self.heldouts, self.items, numerics, labels, tasks=self.tasks)
        return replace(job, n_snapshots=kept)

    def work(self, numerics: Numerics) -> list[WorkItem]:
        """Return all runs, block by block."""
        items = []
        for cell, block in self.design.runs():
            job = self.job(cell, block, numerics)
            cost = float(self.proxy.flops_per_token * job.stream.n_slots * self.proxy.context)
            items.append(WorkItem(job.out.name, job.out, cost, job))
        return items

    def train_ngrams(self) -> None:
        """Count and score the 3-gram of every block; finished ones are not repeated."""
        full = self.design.cells[0]
        blocks = range(self.design.blocks)
        streams = {block: cell_stream(self.workspace, self.design, self.atoms, full, block) for block in blocks}
        kept = [heldout for heldout in self.heldouts if heldout.population == "kept"]
        ngram_runs(self.study, self.design, self.atoms, streams, kept, self.proxy, self.tasks)


def open_runs(workspace: Path, design: Design, atoms: Atoms) -> StudyRuns:
    """Read what the runs of a design share.

    Raises:
        InputError: if shards or tokenizer are not what their manifests say.
    """
    spec = design.spec
    check_corpus(str(workspace))
    heldouts = heldout_sets(str(workspace), atoms, design.targets, spec.eval_tokens)
    if any(cell.transform == "canary" for cell in design.cells):
        heldouts.append(canary_set(str(workspace)))
    token_bytes = vocabulary_bytes(workspace / "tokenizer/tokenizer.json")
    kept = [heldout for heldout in heldouts if heldout.population == "kept"]
    items = [item for h in kept for item in build_choice_items(h, spec.choice_items, spec.seed, token_bytes)]
    proxy = study_proxy(workspace, spec)
    return StudyRuns(workspace, design, atoms, proxy, heldouts, items, _encoded_tasks(workspace, design, atoms, proxy))


def _encoded_tasks(workspace: Path, design: Design, atoms: Atoms, proxy: Proxy) -> list[EncodedItem]:
    """Make the items of the design's tasks and encode them.

    Raises:
        ConfigError: if not one item of a task fits the proxy's context.
    """
    from analysis.evaluation.text_scorers import open_tokenizer, text_encoder

    spec = design.spec
    if not spec.tasks:
        return []
    heldouts = cloze_heldouts(workspace, atoms, design.targets) if cloze.TASK in spec.tasks else []
    encoder = TextEncoder(text_encoder(open_tokenizer(workspace, proxy)), proxy.eos_id, proxy.context)
    encoded = []
    for task in dict.fromkeys(spec.tasks):
        items = task_items(task, spec.task_items or TASK_ITEMS, heldouts)
        fitting = encode_items(encoder, items)
        if not fitting:
            expected = f"choices of at most {proxy.context} tokens, the context of the proxy"
            raise ConfigError(message(f"task {task!r}", "no item fits the proxy", f"{len(items)} items", expected))
        encoded += fitting
    return encoded


@dataclass(frozen=True)
class RunElement:
    """One run of a sweep, by name: a few hundred bytes.

    Attributes:
        workspace: as the workers see it.
        spec: the design file, as JSON.
        design_id: what the driver made of it.
        cell: name of the cell.
        block: number of the block.
        numerics: how it is computed.
    """

    workspace: str
    spec: str
    design_id: str
    cell: str
    block: int
    numerics: Numerics


def elements(runs: StudyRuns, numerics: Numerics) -> list[RunElement]:
    """Return the runs that are not finished."""
    spec = runs.design.spec.model_dump_json()
    place = os.path.abspath(runs.workspace)
    return [
        RunElement(place, spec, runs.design.design_id, cell.name, block, numerics)
        for cell, block in runs.design.runs()
        if not (runs.study / "runs" / f"{cell.name}-{block}" / "run.json").exists()
    ]


def train_element(element: RunElement) -> None:
    """Train one run of a sweep, wherever this is called; resumes from its checkpoint.

    Raises:
        InputError: if this process sees another corpus or makes another design than the driver did.
    """
    if element.numerics.device == "cpu":
        torch.set_num_threads(1)  # as in `train`: the same sums in the same order
    runs = _opened(element.workspace, element.spec)
    if runs.design.design_id != element.design_id:
        raise InputError(
            message(element.workspace, "another design here than in the driver", runs.design.design_id,
                    element.design_id, "Do all workers see the same workspace and run the same version?")
        )  # fmt: skip
    cell = runs.design.cell(element.cell)
    run_job(runs.job(cell, element.block, element.numerics), lambda: False)


@functools.lru_cache(maxsize=2)
def _opened(workspace: str, spec: str) -> StudyRuns:
    """Open a study once per process."""
    return open_runs(Path(workspace), *design_of(Path(workspace), DesignSpec.model_validate_json(spec)))
