"""Attribution of a study: score the models of its full cell, block by block; what was scored is kept and not repeated."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis import records
from analysis.data import TokenStream
from analysis.design_data import cell_stream
from analysis.evaluation.perplexity import cut_windows
from analysis.influence.contrasts import Query as QueryKey
from analysis.influence.contrasts import TokenScores
from analysis.influence.documents import DocumentScores, document_scores
from analysis.influence.ekfac import ekfac
from analysis.influence.gradients import GradientAttributor
from analysis.influence.protocol import Query
from analysis.influence.tracin import tracin
from analysis.influence.units import AtomGroup, group_atoms, group_tokens, sample_units
from analysis.models import MODELS, require_causal
from analysis.models.neural import load
from analysis.study_runs import StudyRuns
from analysis.training import snapshots
from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.contracts.ids import fingerprint

METHODS = ("ekfac", "tracin")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SCORES_VERSION = 1
"""Raised by hand when the same runs would give other scores."""


@dataclass(frozen=True)
class Settings:
    """What is scored.

    Attributes:
        methods: of `METHODS`.
        unit_rows: training rows per unit, at most.
        document_rows: training rows of block 0 whose documents are scored; 0: none.
    """

    methods: tuple[str, ...] = METHODS
    unit_rows: int = 128
    document_rows: int = 1024


@dataclass(frozen=True)
class Attribution:
    """What a study's models say.

    Attributes:
        groups: units.
        tokens: cell to [units] training tokens.
        scores: by method.
        documents: by method: documents of the scored rows.
    """

    groups: list[AtomGroup]
    tokens: dict[str, np.ndarray]
    scores: list[TokenScores]
    documents: dict[str, DocumentScores]


class StudyScorer:
    """Scores one study.

    Args:
        runs: the study.
        settings: what is scored.

    Raises:
        ConfigError: if the proxy has no gradients, or its loss is not that of a text.
        InputError: if no run of the full cell is finished.
    """

    def __init__(self, runs: StudyRuns, settings: Settings) -> None:
        self.runs, self.settings = runs, settings
        require_causal([runs.proxy.model], "influence")
        if not MODELS[runs.proxy.model].neural:
            raise ConfigError(message("influence", "the proxy has no gradients", runs.proxy.model, "a neural proxy"))
        self.full = runs.design.cells[0]
        self.blocks = [b for b in range(runs.design.blocks) if self._finished(b)]
        if not self.blocks:
            where, hint = str(runs.study), "Run `mixtrace train` first."
            raise InputError(message(where, "nothing to score", f"no finished run of {self.full.name}", "one", hint))
        self.queries: list[QueryKey] = [(heldout.target, heldout.population) for heldout in runs.heldouts]
        planned = self._planned()
        atoms = runs.atoms
        home = {atom: name for name in runs.design.targets for atom in atoms.atoms_of(name)}
        self.groups = group_atoms(planned, home)
        self.tokens = group_tokens(self.groups, planned)

    def attribute(self) -> Attribution:
        """Score everything."""
        scores, documents = [], {}
        for method in self.settings.methods:
            if method == "tracin" and not self.runs.design.spec.snapshots:
                print("influence: tracin is left out: the design keeps no `snapshots`", file=sys.stderr)
                continue
            per_token = np.stack([self._kept(method, block, "units", self._units_of) for block in self.blocks])
            names = tuple(group.name for group in self.groups)
            scores.append(TokenScores(method, names, tuple(self.queries), per_token, self._bytes_per_token()))
            if self.settings.document_rows:
                rows = self._kept(method, self.blocks[0], "rows", self._rows_of)
                slots = np.arange(len(rows))
                documents[method] = document_scores(self.stream(self.full.name, self.blocks[0]), slots, rows)
        return Attribution(self.groups, self.tokens, scores, documents)

    def stream(self, cell: str, block: int) -> TokenStream:
        """Return the tokens of a run."""
        found = next(one for one in self.runs.design.cells if one.name == cell)
        return cell_stream(self.runs.workspace, self.runs.design, self.runs.atoms, found, block)

    def folder(self, cell: str, block: int) -> Path:
        """Return the folder of a run."""
        return self.runs.study / "runs" / f"{cell}-{block}"

    def _finished(self, block: int) -> bool:
        path = self.folder(self.full.name, block)
        return (path / "run.json").exists() and (path / "model.safetensors").exists()

    def _planned(self) -> dict[str, dict[str, float]]:
        """Return cell to atom to planned training tokens; the full cell first."""
        rows = records.read_table(self.runs.study / "mixture_weights.parquet", "mixture_weights").to_pylist()
        totals = {cell.name: cell.tokens or self.runs.design.spec.tokens for cell in self.runs.design.cells}
        planned: dict[str, dict[str, float]] = {cell.name: {} for cell in self.runs.design.cells}
        for row in rows:
            planned[row["cell"]][row["atom"]] = row["weight"] * totals[row["cell"]]
        return planned

    def _bytes_per_token(self) -> dict[QueryKey, float]:
        return {(h.target, h.population): float(h.n_bytes.sum() / len(h.ids)) for h in self.runs.heldouts}

    def _texts(self) -> list[Query]:
        proxy = self.runs.proxy
        made = []
        for heldout in self.runs.heldouts:
            windows = cut_windows(heldout.ids, heldout.offsets, proxy.context, proxy.eos_id)
            made.append(Query(f"{heldout.target}/{heldout.population}", windows.rows, windows.mask))
        return made

    def _kept(self, method: str, block: int, what: str, score: Callable[[GradientAttributor, int], Any]) -> np.ndarray:
        """Return scores from the study's folder, or make and keep them."""
        key = fingerprint(
            SCORES_VERSION, self.runs.design.design_id, method, block, what, self.settings.unit_rows,
            self.settings.document_rows, [[g.name, g.atoms] for g in self.groups], self.queries,
        )  # fmt: skip
        path = self.runs.study / "influence" / f"{method}-{block}-{what}-{key}.npy"
        if not path.exists():
            print(f"influence: {method}, block {block}, {what}", file=sys.stderr, flush=True)
            values = score(self._attributor(method, block), block)
            with storage.atomic_write(str(path)) as file:
                np.save(file, values)
        return np.load(path)

    def _attributor(self, method: str, block: int) -> GradientAttributor:
        folder = self.folder(self.full.name, block)
        model, stream = load(folder).to(DEVICE), self.stream(self.full.name, block)
        slots = stream.n_slots // self.runs.proxy.batch * self.runs.proxy.batch
        rows = stream.slots_tokens(0, min(slots, 512))
        tokens = slots * self.runs.proxy.context
        if method == "tracin":
            return tracin(model, snapshots.load(folder), rows, tokens)
        weights = {name: value.detach().clone() for name, value in model.named_parameters()}
        return ekfac(model, weights, rows, tokens)

    def _units_of(self, attributor: GradientAttributor, block: int) -> np.ndarray:
        """Return [units, queries] nats per token and training token; 0 for a unit of which the block drew nothing."""
        units = sample_units(self.groups, self.tokens, lambda cell: self.stream(cell, block), self.settings.unit_rows)
        drawn = [unit for unit in units if len(unit.rows)]
        scores = iter(attributor.score(drawn, self._texts()))
        return np.stack([next(scores) if len(unit.rows) else np.zeros(len(self.queries)) for unit in units])

    def _rows_of(self, attributor: GradientAttributor, block: int) -> np.ndarray:
        """Return [rows, queries] scores of the first rows of the run (slots are in random order)."""
        stream = self.stream(self.full.name, block)
        rows = stream.slots_tokens(0, min(stream.n_slots, self.settings.document_rows))
        return attributor.score_rows(rows, self._texts())
