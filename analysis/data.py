"""Tokens of a run: documents of memory-mapped shards, concatenated per atom and cut into slots."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.mixtures import Mixture
from analysis.schedule import Slots, Transform, generator, schedule
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import fraction, key64
from pipelines.contracts.shards import read_shard


@dataclass(frozen=True)
class HeldOut:
    """Held-out documents of one target.

    Attributes:
        target: slice that is evaluated.
        population: "kept" (what the rules keep) or "unfiltered" (all of it).
        ids: [tokens] token ids of all documents, one after another.
        offsets: [documents + 1] int64.
        n_bytes: [documents] UTF-8 bytes of the scored text.
        component: [documents] str.
        doc_id: [documents] str.
    """

    target: str
    population: str
    ids: np.ndarray
    offsets: np.ndarray
    n_bytes: np.ndarray
    component: np.ndarray
    doc_id: np.ndarray


@functools.lru_cache(maxsize=64)
def _shard(workspace: str, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Map a shard: (ids [tokens], offsets [documents + 1])."""
    column = read_shard(workspace, path)["input_ids"].combine_chunks()
    offsets = column.offsets.to_numpy().astype(np.int64)
    return column.values.to_numpy(), offsets


def document_tokens(workspace: str, path: str, row: int) -> np.ndarray:
    """Return the tokens of one document, the end-of-text token included."""
    ids, offsets = _shard(workspace, path)
    return ids[offsets[row] : offsets[row + 1]]


def pool_tokens(atoms: Atoms, pools: dict[str, float]) -> dict[str, int]:
    """Return the training tokens that each pool holds."""
    train = atoms.table.filter(pc.equal(atoms.table["split"], "train"))
    found = {}
    for atom, share in pools.items():
        rows = train.filter(pc.equal(train["atom"], atom))
        inside = [fraction(component, "pool") < share for component in rows["component"].to_pylist()]
        found[atom] = int(pc.sum(rows["tokens"].filter(pa.array(inside, pa.bool_()))).as_py() or 0)
    return found


def train_documents(atoms: Atoms, mixture: Mixture) -> dict[str, pa.Table]:
    """Return the training documents that each atom of a mixture may draw, in the order of their ids."""
    train = atoms.table.filter(pc.equal(atoms.table["split"], "train"))
    chosen: dict[str, pa.Table] = {}
    for atom in sorted(mixture.weights):
        rows = train.filter(pc.equal(train["atom"], atom)).select(
            ["doc_id", "shard", "shard_row", "tokens", "bytes", "component"]
        )
        share = mixture.pools.get(atom, 1.0)
        if share < 1:
            rows = rows.filter(
                pa.array([fraction(c, "pool") < share for c in rows["component"].to_pylist()], pa.bool_())
            )
        if rows.num_rows == 0:
            raise ConfigError(
                message(
                    f"atom {atom!r}",
                    "nothing to draw",
                    f"no training document in {share:.2%} of its components",
                    "at least one",
                )
            )
        chosen[atom] = rows.sort_by("doc_id")
    return chosen


@dataclass(frozen=True)
class TokenStream:
    """The tokens of one run, slot by slot; a pure function of mixture, block and transform.

    Attributes:
        workspace: curated workspace with the shards.
        shards: paths of the shards.
        documents: per atom, (shard [docs], shard_row [docs], tokens [docs], bytes [docs], key [docs]).
        mixture: what is drawn.
        block_seed: names the block.
        transform: none, sham or shuffle.
        n_slots: slots of the run.
        context: predicted tokens per slot.
    """

    workspace: str
    shards: tuple[str, ...]
    documents: dict[str, tuple[np.ndarray, ...]]
    mixture: Mixture
    block_seed: str
    transform: Transform
    n_slots: int
    context: int
    _streams: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    @functools.cached_property
    def slots(self) -> Slots:
        """The schedule of the run."""
        return schedule(self.mixture, self.n_slots, self.block_seed, self.transform)

    def __getstate__(self) -> dict:
        """Leave caches behind when a run is sent to a worker."""
        return {**{k: v for k, v in self.__dict__.items() if k != "slots"}, "_streams": {}}

    def order(self, atom: str) -> np.ndarray:
        """Return the [docs] order in which a block reads the documents of an atom."""
        keys = self.documents[atom][4]
        salt = np.uint64(key64(self.block_seed + "\0order"))
        return np.argsort((keys ^ salt) * np.uint64(0x9E3779B97F4A7C15), kind="stable")

    def stream(self, atom: str) -> np.ndarray:
        """Return the tokens of an atom in the order of this block, long enough for its slots (one epoch at most)."""
        if atom not in self._streams:
            shard, row, tokens, _, _ = self.documents[atom]
            needed = self._slots_of(atom) * self.context + 1
            pieces, held = [], 0
            for document in self.order(atom):
                pieces.append(document_tokens(self.workspace, self.shards[shard[document]], row[document]))
                held += tokens[document]
                if held >= needed:
                    break
            self._streams[atom] = np.concatenate(pieces)
        return self._streams[atom]

    def _slots_of(self, atom: str) -> int:
        """Return how many slots of the atom's stream are used (the greatest position and one)."""
        mine = self.slots.position[self.slots.atom == self.slots.names.index(atom)]
        return int(mine.max()) + 1 if len(mine) else 0

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        """Return the tokens of slots start..stop, [slots, context + 1] int64.

        An atom with fewer tokens than its slots need is read again from its start (epochs > 1).
        """
        rows = np.empty((stop - start, self.context + 1), np.int64)
        for index in range(start, stop):
            stream = self.stream(self.slots.names[self.slots.atom[index]])
            begin = int(self.slots.position[index]) * self.context
            rows[index - start] = stream[(begin + np.arange(self.context + 1)) % len(stream)]
            if self.slots.shuffled[index]:
                generator(self.block_seed, "tokens", index).shuffle(rows[index - start])
        return rows

    def drawn(self) -> dict[str, dict[str, float]]:
        """Return tokens, bytes and epochs that are drawn of each atom."""
        found = {}
        for index, atom in enumerate(self.slots.names):
            count = int((self.slots.atom == index).sum()) * self.context
            pool_tokens, pool_bytes = int(self.documents[atom][2].sum()), int(self.documents[atom][3].sum())
            found[atom] = {
                "tokens": count,
                "bytes": round(count * pool_bytes / pool_tokens),
                "pool_tokens": pool_tokens,
                "epochs": count / pool_tokens,
            }
        return found


def token_stream(
    workspace: str, atoms: Atoms, mixture: Mixture, block_seed: str, transform: Transform, n_slots: int, context: int
) -> TokenStream:
    """Prepare the tokens of a run (nothing is read yet)."""
    documents = {
        atom: (
            rows["shard"].to_numpy(),
            rows["shard_row"].to_numpy(),
            rows["tokens"].to_numpy(),
            rows["bytes"].to_numpy(),
            np.array([key64(doc_id) for doc_id in rows["doc_id"].to_pylist()], np.uint64),
        )
        for atom, rows in train_documents(atoms, mixture).items()
    }
    return TokenStream(workspace, atoms.shards, documents, mixture, block_seed, transform, n_slots, context)
