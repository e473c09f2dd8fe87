"""Tokens of a run: documents of memory-mapped shards, concatenated per atom and cut into chunks."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.canary import CANARY, canary_facts, canary_tokens
from analysis.mixtures import Mixture
from analysis.schedule import CONTROL_SHARE, Slots, Transform, generator, schedule
from analysis.shards import open_shard, token_byte_lengths
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import fingerprint, fraction


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
    column = open_shard(workspace, path)["input_ids"].combine_chunks()
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
        documents: per atom, (shard [docs], shard_row [docs], tokens [docs], bytes [docs]), ordered by doc_id.
        mixture: what is drawn.
        reference: mixture of the baseline cell, for the coupling.
        block_seed: names the block.
        transform: what is done to the slots besides (`analysis.schedule`).
        n_slots: slots of the run.
        context: predicted tokens per slot.
        corpus: hash of the shards, as their manifests state it.
        share: share of the slots that the transform touches.
        order_seed: if given, the slots are read in an order of this seed, not in that of the schedule.
    """

    workspace: str
    shards: tuple[str, ...]
    documents: dict[str, tuple[np.ndarray, ...]]
    mixture: Mixture
    reference: Mixture
    block_seed: str
    transform: Transform
    n_slots: int
    context: int
    corpus: str = ""
    share: float = CONTROL_SHARE
    order_seed: str = ""

    @property
    def identity(self) -> dict[str, object]:
        """What the tokens are a function of: a run that was begun on others is not resumed."""
        drawn = [dict(self.mixture.weights), dict(self.mixture.pools), dict(self.reference.weights)]
        documents = {
            atom: [np.asarray(c).tobytes().hex() for c in columns[:2]] for atom, columns in self.documents.items()
        }
        return {
            "corpus": self.corpus,
            "documents": fingerprint(documents),
            "mixture": fingerprint(drawn),
            "block": [self.block_seed, self.order_seed] if self.order_seed else self.block_seed,
            "transform": [self.transform, self.share],
            "n_slots": self.n_slots,
            "context": self.context,
        }

    @functools.cached_property
    def slots(self) -> Slots:
        """The schedule of the run."""
        slots = schedule(self.mixture, self.reference, self.n_slots, self.block_seed, self.transform, self.share)
        if not self.order_seed:
            return slots
        return slots.permuted(generator(self.order_seed, "order").permutation(self.n_slots))

    @functools.cached_property
    def facts(self) -> np.ndarray:
        """The facts of the canary, [facts, tokens]."""
        return canary_facts(token_byte_lengths(self.workspace))

    def __getstate__(self) -> dict:
        """Leave caches behind when a run is sent to a worker."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @functools.cached_property
    def starts(self) -> dict[str, np.ndarray]:
        """Per atom, [docs + 1] where each document starts in the concatenation of the atom."""
        return {atom: np.concatenate([[0], np.cumsum(columns[2])]) for atom, columns in self.documents.items()}

    @functools.cached_property
    def chunks(self) -> dict[str, np.ndarray]:
        """Per atom, the order in which a block reads the chunks of `context` tokens.

        Chunks are permuted one by one, not by document: a run that reads long documents through would see a
        few books only, its noise would be that of the choice of books (sd .05 instead of .02 bpb), and a sham
        that skips slots would see more documents than its baseline, so it would not be null.
        """
        orders = {}
        for atom, starts in self.starts.items():
            count = max(1, int(starts[-1]) // self.context)
            orders[atom] = generator(self.block_seed, "chunks", atom).permutation(count)
        return orders

    def window(self, atom: str, start: int) -> np.ndarray:
        """Return [context + 1] tokens of an atom's concatenation from `start`, wrapping at its end."""
        shard, row, _, _ = self.documents[atom]
        starts = self.starts[atom]
        out = np.empty(self.context + 1, np.int64)
        filled = 0
        while filled < len(out):
            at = (start + filled) % starts[-1]
            document = int(np.searchsorted(starts, at, side="right")) - 1
            tokens = document_tokens(self.workspace, self.shards[shard[document]], row[document])
            piece = tokens[at - starts[document] :][: len(out) - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        return out

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        """Return the tokens of slots start..stop, [slots, context + 1] int64.

        An atom with fewer chunks than its slots need is read again in the same order (epochs > 1).
        """
        rows = np.empty((stop - start, self.context + 1), np.int64)
        for index in range(start, stop):
            if self.slots.canary[index]:
                rows[index - start] = canary_tokens(self.facts, self.context + 1, self.block_seed, index)
                continue
            atom = self.slots.names[self.slots.atom[index]]
            order = self.chunks[atom]
            chunk = order[int(self.slots.position[index]) % len(order)]
            rows[index - start] = self.window(atom, int(chunk) * self.context)
            if self.slots.shuffled[index]:
                generator(self.block_seed, "tokens", index).shuffle(rows[index - start])
        return rows

    def documents_of(self, start: int, stop: int) -> list[str]:
        """Name the documents that slots start..stop hold, "doc_id (shard, row)", in the order of reading."""
        found: dict[str, None] = {}
        for index in range(start, stop):
            if self.slots.canary[index]:
                found[CANARY] = None
                continue
            atom = self.slots.names[self.slots.atom[index]]
            order, starts = self.chunks[atom], self.starts[atom]
            at = int(order[int(self.slots.position[index]) % len(order)]) * self.context
            ends = np.searchsorted(starts, [at, at + self.context], side="right") - 1
            for document in range(int(ends[0]), int(ends[1]) + 1):
                shard, row = (int(column[document % (len(starts) - 1)]) for column in self.documents[atom][:2])
                doc_id = open_shard(self.workspace, self.shards[shard])["doc_id"][row].as_py()
                found[f"{doc_id} ({self.shards[shard]}, row {row})"] = None
        return list(found)

    def drawn(self) -> dict[str, dict[str, float]]:
        """Return tokens, bytes and epochs that are drawn of each atom."""
        found = {}
        for index, atom in enumerate(self.slots.names):
            count = int(((self.slots.atom == index) & ~self.slots.canary).sum()) * self.context
            pool_tokens, pool_bytes = int(self.documents[atom][2].sum()), int(self.documents[atom][3].sum())
            found[atom] = {
                "tokens": count,
                "bytes": round(count * pool_bytes / pool_tokens),
                "pool_tokens": pool_tokens,
                "epochs": count / pool_tokens,
            }
        return found


def token_stream(
    workspace: str, atoms: Atoms, mixtures: tuple[Mixture, Mixture], block_seed: str, transform: Transform,
    n_slots: int, context: int, share: float = CONTROL_SHARE,
) -> TokenStream:  # fmt: skip
    """Prepare the tokens of a run (nothing is read yet).

    Args:
        workspace: curated workspace.
        atoms: its documents.
        mixtures: what is drawn, and the mixture of the baseline cell.
        block_seed: names the block.
        transform: what is done to the slots besides (`analysis.schedule`).
        n_slots: slots of the run.
        context: predicted tokens per slot.
        share: share of the slots that the transform touches.
    """
    columns = ("shard", "shard_row", "tokens", "bytes")
    documents = {
        atom: tuple(rows[name].to_numpy() for name in columns)
        for atom, rows in train_documents(atoms, mixtures[0]).items()
    }
    return TokenStream(
        workspace, atoms.shards, documents, *mixtures, block_seed, transform, n_slots, context, atoms.corpus, share
    )
