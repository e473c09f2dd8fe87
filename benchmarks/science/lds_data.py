"""Units, queries and token streams of the study `lds`: 48 equal groups of source x topic, subsets of them in one pass."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import xxhash

from analysis.data import HeldOut, document_tokens
from analysis.evaluation.perplexity import cut_windows
from analysis.influence.protocol import Query, Unit
from analysis.influence.topics import equal_groups, hashed_features
from analysis.schedule import generator
from analysis.shards import token_byte_lengths
from analysis.slices import Atoms
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.ids import fraction

PIECE_TOKENS = 512
"""Documents are cut into pieces of so many tokens; a topic is a group of pieces."""
POOL = 3
"""Tokens (and pieces) of the pool that topics are found in, per token (and topic) of the units."""


def pieces(workspace: str, atoms: Atoms, slice_: str, split: str) -> Iterator[np.ndarray]:
    """Yield the pieces of the kept documents of a slice, in an order that depends on their names only."""
    table = atoms.table
    chosen = pc.and_(pc.and_(table[f"in_{slice_}"], table["kept"]), pc.equal(table["split"], split))
    rows = table.filter(chosen).select(["doc_id", "shard", "shard_row", "tokens"]).to_pylist()
    places = [(row, start) for row in rows for start in range(0, row["tokens"], PIECE_TOKENS)]
    places.sort(key=lambda place: (fraction(f"{place[0]['doc_id']}/{place[1]}", "piece"), place[0]["doc_id"]))
    for row, start in places:
        yield np.asarray(document_tokens(workspace, atoms.shards[row["shard"]], row["shard_row"]))[start:][
            :PIECE_TOKENS
        ]


def make_units(workspace: str, atoms: Atoms, slices: list[str], topics: int, rows: int, context: int) -> list[Unit]:
    """Make `topics` units of `rows` rows of each slice, slice by slice."""
    units = []
    quota = rows * context + 1
    for slice_ in slices:
        pool: list[np.ndarray] = []
        held = 0
        for piece in pieces(workspace, atoms, slice_, "train"):
            pool.append(piece)
            held += len(piece)
            if held >= POOL * topics * quota and len(pool) >= POOL * topics:
                break
        groups = equal_groups(hashed_features(pool), topics, np.array([len(piece) for piece in pool]), quota)
        for number, group in enumerate(groups):
            text = np.concatenate([pool[at] for at in group])[:quota].astype(np.int64)
            cut = text[np.arange(rows)[:, None] * context + np.arange(context + 1)]
            units.append(Unit(f"{slice_}/{number}", cut, rows * context))
    return units


def make_heldouts(workspace: str, atoms: Atoms, slices: list[str], queries: int, least_tokens: int) -> list[HeldOut]:
    """Choose held-out pieces of each slice; every piece is a component of its own: a query.

    Raises:
        InputError: if a slice has no held-out piece of `least_tokens`.
    """
    lengths = token_byte_lengths(workspace)
    made = []
    for slice_ in slices:
        chosen: list[np.ndarray] = []
        for piece in pieces(workspace, atoms, slice_, "heldout"):
            text = piece[:-1]  # the end of a document is not scored
            if len(text) >= least_tokens and len(chosen) < queries:
                chosen.append(text.astype(np.int64))
        if not chosen:
            what = f"slice {slice_!r}: no held-out piece"
            raise InputError(message("lds", what, "none", f"pieces of {least_tokens} tokens"))
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in chosen])]).astype(np.int64)
        names = np.array([f"{slice_}-{at}" for at in range(len(chosen))])
        n_bytes = np.array([int(lengths[text].sum()) for text in chosen], np.int64)
        made.append(HeldOut(slice_, "kept", np.concatenate(chosen), offsets, n_bytes, names, names))
    return made


def make_queries(heldouts: list[HeldOut], context: int, eos_id: int) -> list[Query]:
    """Return the queries of held-out sets, in their order."""
    made = []
    for heldout in heldouts:
        for at, name in enumerate(heldout.component):
            text = heldout.ids[heldout.offsets[at] : heldout.offsets[at + 1]]
            windows = cut_windows(text, np.array([0, len(text)]), context, eos_id)
            made.append(Query(str(name), windows.rows, windows.mask))
    return made


def draw_subsets(units: int, subsets: int, seed: str) -> np.ndarray:
    """Draw random halves of the units: [subsets, units] bool."""
    return np.stack([generator(seed, "subset", at).permutation(units) < units // 2 for at in range(subsets)])


@dataclass(frozen=True)
class UnitStream:
    """The rows of some units, once each; all streams of one seed keep the same order.

    Attributes:
        path: `.npy` of [units, rows, context + 1] int64.
        members: indices of the units.
        seed: of the order.
    """

    path: Path
    members: tuple[int, ...]
    seed: str

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """[slots, context + 1] int64."""
        units = np.load(self.path)
        order = generator(self.seed, "order").permutation(units.shape[0] * units.shape[1])
        mine = np.isin(order // units.shape[1], self.members)
        return units.reshape(-1, units.shape[2])[order[mine]]

    def __getstate__(self) -> dict:
        """Leave the rows behind when a run is sent to a worker."""
        return {"path": self.path, "members": self.members, "seed": self.seed}

    @property
    def n_slots(self) -> int:
        """Rows of the run."""
        return len(self.rows)

    @property
    def identity(self) -> dict[str, object]:
        """What the tokens are a function of."""
        content = xxhash.xxh3_64_hexdigest(np.load(self.path).tobytes())
        return {"units": content, "members": list(self.members), "seed": self.seed}

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        """Return [slots, context + 1] int64."""
        return self.rows[start:stop]

    def documents_of(self, start: int, stop: int) -> list[str]:
        """Name the slots."""
        return [f"slot {slot} of units {self.members}" for slot in range(start, stop)]

    def drawn(self) -> dict[str, dict[str, float]]:
        """Return the tokens drawn of each unit."""
        _, rows, width = np.load(self.path, mmap_mode="r").shape
        return {str(unit): {"tokens": rows * (width - 1), "epochs": 1.0} for unit in self.members}
