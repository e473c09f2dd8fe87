"""Looks: more blocks for a study that exists, with every look at its results logged and its price in alpha.

A design either has a fixed number of blocks, or states before the first result how many it may have at most and how
alpha is spent over looks (`looks: {max_blocks: 10}`). `mixtrace design extend` then adds blocks; what may be called
significant at each look comes from `analysis.statistics.alpha_spending`. The design and its id stay as they are.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis import records
from analysis.design_file import DesignSpec, LooksSpec
from analysis.statistics.alpha_spending import nominal_levels, spent
from pipelines.contracts.errors import ConfigError, InputError, message

ALPHA = 0.05


@dataclass(frozen=True)
class Level:
    """What a look may call significant.

    Attributes:
        look: number of the look, from 1.
        blocks: blocks that are looked at.
        max_blocks: blocks that the study may have at most.
        spending: spending function, or "fixed" for a design of a fixed number of blocks.
        nominal: two-sided level of this look.
        spent: alpha that is spent with it, over all looks so far.
    """

    look: int
    blocks: int
    max_blocks: int
    spending: str
    nominal: float
    spent: float


def read_looks(study: Path) -> list[dict]:
    """Return the looks of a study, in their order; none if it was never extended."""
    path = study / "looks.parquet"
    return records.read_table(path, "looks").to_pylist() if path.is_file() else []


def added_blocks(study: Path) -> int:
    """Return how many blocks were added to a study."""
    return sum(row["blocks_after"] - row["blocks_before"] for row in read_looks(study))


def level_of(looks: LooksSpec | None, planned: int, before: list[dict]) -> Level:
    """Return the level at which the present blocks of a study are judged.

    Args:
        looks: what the design says about looks; None for a fixed number of blocks.
        planned: blocks of the design.
        before: rows of the table `looks`.
    """
    if looks is None:
        return Level(1, planned, planned, "fixed", ALPHA, ALPHA)
    seen = [*(row["blocks_before"] for row in before), before[-1]["blocks_after"] if before else planned]
    levels = nominal_levels(seen, looks.max_blocks, ALPHA, looks.spending)
    used = spent(np.array(seen[-1:]) / looks.max_blocks, ALPHA, looks.spending)
    return Level(len(seen), seen[-1], looks.max_blocks, looks.spending, float(levels[-1]), float(used[0]))


def extend_design(study: Path, blocks: int) -> dict:
    """Log a look at the present blocks of a study and add blocks to it.

    Args:
        study: folder of the study.
        blocks: blocks to add.

    Returns:
        The row of the table `looks`.

    Raises:
        ConfigError: if the design has a fixed number of blocks, or may not have so many.
        InputError: if a run of the present blocks is missing: a look is at whole blocks.
    """
    body = json.loads((study / "design.json").read_text("utf-8"))
    spec = DesignSpec.model_validate(body["spec"])
    where = f"design {spec.name} ({body['design_id']})"
    if spec.looks is None:
        raise ConfigError(
            message(where, "has a fixed number of blocks", f"{blocks} more", f"{spec.blocks}, all of alpha is spent on them",
                    "State `looks: {max_blocks: N}` before the first result, or plan a new study with another `seed`.")
        )  # fmt: skip
    before = read_looks(study)
    level = level_of(spec.looks, spec.blocks, before)
    if level.blocks + blocks > spec.looks.max_blocks:
        found = f"{level.blocks} + {blocks}"
        raise ConfigError(
            message(where, "more blocks than the design allows", found, f"at most {spec.looks.max_blocks}")
        )
    _check_finished(study, body, level.blocks)
    row = {
        "design_id": body["design_id"],
        "look": level.look,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "blocks_before": level.blocks,
        "blocks_after": level.blocks + blocks,
        "max_blocks": level.max_blocks,
        "spending": level.spending,
        "level": level.nominal,
        "alpha_spent": level.spent,
        "effects_seen": (study / "effects.parquet").is_file(),
    }
    records.write_table(study / "looks.parquet", records.from_rows([*before, row], "looks"), "looks")
    return row


def _check_finished(study: Path, body: dict, blocks: int) -> None:
    """Refuse to look at blocks of which runs are missing.

    Raises:
        InputError: naming some of them.
    """
    done = {folder.name for folder in records.list_runs(study)}
    wanted = (
        f"{cell['name']}-{block}"
        for block in range(blocks)
        for cell in body["cells"]
        if cell["blocks"] is None or block < cell["blocks"]
    )
    missing = [name for name in wanted if name not in done]
    if missing:
        found = f"{len(missing)} missing: {', '.join(missing[:5])}"
        raise InputError(
            message(str(study), "blocks are not finished", found, "all runs", "Run `mixtrace train` first.")
        )


def describe(level: Level) -> str | None:
    """Say what a look may call significant; nothing for a fixed number of blocks."""
    if level.spending == "fixed":
        return None
    return (
        f"look {level.look}: {level.blocks} of at most {level.max_blocks} blocks; verdicts at level {level.nominal:.4f} "
        f"({level.spending}), {level.spent:.4f} of alpha {ALPHA} spent; intervals are those of a single look"
    )
