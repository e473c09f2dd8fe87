"""Columns that the tables of a study share."""

from __future__ import annotations

import pyarrow as pa

from pipelines.contracts.schemas import field

STRING, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
DESIGN = field("design_id", STRING, "hash of the whole design, written before any result")
RUN = field("run_id", STRING, "run: design, cell and block")
TARGET = field("target", STRING, "held-out slice that was evaluated; of the metrics of tasks, the task")
POPULATION = field(
    "population",
    STRING,
    "held-out documents: kept by the rules; unfiltered; curve (a fixed part of kept, evaluated along the run); canary; or items (the questions of a task)",
)
METRIC = field(
    "metric",
    STRING,
    "bpb (bits per UTF-8 byte, lower is better), choice_margin (bits per byte, higher is better), or a metric of a task: margin, total_margin (higher is better), gold_bpb (lower is better)",
)
