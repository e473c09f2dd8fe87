"""The files of one run; `run.json` is written last and is the commit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from analysis import records
from analysis.evaluation.text_items import EncodedItem, TextScorer, label_items, score_encoded
from analysis.models import LogProb, Proxy
from pipelines.contracts import storage

if TYPE_CHECKING:
    from analysis.training.probe import Numerics
    from analysis.training.state import TokenStream

CURVE_POINTS = 64
"""Points of a stored loss curve; each is the mean of the steps since the one before."""
REASON_DOCUMENTS = 4
"""Documents of a diverged batch that the table of runs names; `run.json` names all."""


@dataclass(frozen=True)
class RunFacts:
    """What came out of a run."""

    status: str  # "finished" or "diverged"
    seed: int
    tokens: int
    train_cpu_s: float  # of this process; a resumed run counts from its last checkpoint
    train_nats_per_token: float | None  # over the last twentieth of the steps; None for n-grams and where not finite
    divergence: Mapping[str, Any] | None = None  # step, loss and documents of the batch at which it was not finite

    @property
    def reason(self) -> str | None:
        """Why there are no scores, in words."""
        if self.divergence is None:
            return None
        documents = self.divergence["documents"]
        more = f" and {len(documents) - REASON_DOCUMENTS} more" if len(documents) > REASON_DOCUMENTS else ""
        named = "; ".join(documents[:REASON_DOCUMENTS])
        return f"loss {self.divergence['loss']} at step {self.divergence['step']}; its batch held {named}{more}"


@dataclass(frozen=True)
class RunOutput:
    """Writes into the folder of a run; the folder's name is the run's id."""

    folder: Path
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.folder.name

    def write_part(self, name: str, table: pa.Table) -> None:
        """Keep scores of the middle of a run until its end (a resumed run writes the same bytes again)."""
        with storage.atomic_write(str(self.folder / f"part-{name}.parquet")) as file:
            pq.write_table(table, file)

    def write_scores(self, parts: Sequence[str], last: pa.Table) -> None:
        """Write `scores.parquet`: the parts, then the final scores."""
        paths = [self.folder / f"part-{name}.parquet" for name in parts]
        tables = [pq.read_table(path) for path in paths]
        self._write_labelled("scores", pa.concat_tables([*tables, last]))
        for path in paths:
            path.unlink()

    def write_items(self, table: pa.Table) -> None:
        """Write `item_scores.parquet`."""
        self._write_labelled("item_scores", table)

    def write_tasks(self, model: LogProb, tasks: Sequence[EncodedItem], proxy: Proxy) -> None:
        """Ask the questions of the design's tasks, if there are any, and write `task_item_scores.parquet`."""
        if not tasks:
            return
        scorer = TextScorer(model, _encoded_already, proxy.eos_id, proxy.context, self.run_id)
        scored = score_encoded(scorer, tasks)
        labelled = label_items(scored, self.labels.get("design_id"), self.run_id)
        records.write_table(self.folder / "task_item_scores.parquet", labelled, "task_item_scores")

    def write_curve(self, losses: np.ndarray, proxy: Proxy) -> None:
        """Write `curves.parquet` from the [steps] losses."""
        stops = np.unique(np.linspace(0, len(losses), CURVE_POINTS + 1).round().astype(np.int64))
        means = [losses[a:b].mean() for a, b in itertools.pairwise(stops)]
        columns = {
            "step": pa.array(stops[1:], pa.int64()),
            "train_tokens": pa.array(stops[1:] * proxy.batch * proxy.context, pa.int64()),
            "train_nats_per_token": pa.array(means, pa.float64()),
        }
        self._write_labelled("curves", pa.table(columns))

    def finish(self, proxy: Proxy, numerics: Numerics, stream: TokenStream, facts: RunFacts) -> dict[str, Any]:
        """Write `run.json` and return what is in it: the columns of `records.RUNS`, the proxy, what was drawn."""
        record = {
            "run_id": self.run_id,
            **self.labels,
            **asdict(facts),
            "reason": facts.reason,
            "model": proxy.model,
            "proxy_id": proxy.proxy_id,
            "tokens_per_cpu_s": facts.tokens / facts.train_cpu_s,
            "device": numerics.device,
            "dtype": numerics.dtype,
            "compiled": numerics.compiled,
            "processes": numerics.processes,
            "torch": str(torch.__version__),
            "proxy": proxy.model_dump(mode="json"),
            "drawn": stream.drawn(),
        }
        with storage.atomic_write(str(self.folder / "run.json")) as file:
            file.write(json.dumps(record, indent=1, allow_nan=False).encode())
        return record

    def _write_labelled(self, name: str, table: pa.Table) -> None:
        run_id = pa.array([self.run_id] * len(table), pa.string())
        records.write_table(self.folder / f"{name}.parquet", table.add_column(0, "run_id", run_id), name)


def _encoded_already(text: str) -> np.ndarray:
    raise AssertionError(f"a run holds no tokenizer: its tasks are encoded by the driver; got {text!r}")
