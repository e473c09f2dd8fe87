"""Held-out sets: per target and population, whole documents up to a fixed budget of tokens, drawn by hash.

Held-out text is split off before any decision. "kept" is what the rules keep of it, "unfiltered" all of
it, so that a rule is never judged only on text that it has chosen itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.canary import CANARY, canary_facts, canary_tokens
from analysis.data import HeldOut, document_tokens
from analysis.shards import token_byte_lengths
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import fraction

POPULATIONS = ("kept", "unfiltered")
CANARY_DOCUMENTS = 8
CANARY_DOCUMENT_FACTS = 24
MAX_DOCUMENT_TOKENS = 2048
"""Longer documents are cut here, so that one book does not fill a target."""


def heldout_documents(atoms: Atoms, target: str, population: str) -> pa.Table:
    """Return the held-out documents of a target, in the order in which they are drawn."""
    chosen = pc.and_(atoms.table[f"in_{target}"], pc.equal(atoms.table["split"], "heldout"))
    if population == "kept":
        chosen = pc.and_(chosen, atoms.table["kept"])
    rows = atoms.table.filter(chosen)
    keys = pa.array([fraction(doc_id, "heldout-order") for doc_id in rows["doc_id"].to_pylist()], pa.float64())
    rows = rows.append_column("order", keys).sort_by([("order", "ascending"), ("doc_id", "ascending")])
    copies = rows["component"].to_pylist() if population == "unfiltered" else []
    return _without_exact_copies(rows, copies)


def _without_exact_copies(rows: pa.Table, components: list[str]) -> pa.Table:
    """Keep one document per component and length: exact copies say nothing new."""
    if not components:
        return rows
    seen: set[tuple[str, int]] = set()
    keep = []
    for component, size in zip(components, rows["bytes"].to_pylist(), strict=True):
        keep.append((component, size) not in seen)
        seen.add((component, size))
    return rows.filter(pa.array(keep))


def heldout_set(workspace: str, atoms: Atoms, target: str, population: str, budget_tokens: int) -> HeldOut:
    """Read a held-out set.

    Args:
        workspace: curated workspace.
        atoms: its documents.
        target: slice.
        population: "kept" or "unfiltered".
        budget_tokens: documents are taken until this many tokens.

    Raises:
        ConfigError: if the target has no held-out document.
    """
    rows = heldout_documents(atoms, target, population)
    if rows.num_rows == 0:
        raise ConfigError(
            message(
                f"slice {target!r}",
                "no held-out document",
                f"none of population {population!r}",
                "at least one",
                "Raise split.min_heldout_bytes in the recipe.",
            )
        )
    lengths = token_byte_lengths(workspace)
    pieces, n_bytes, taken = [], [], 0
    columns = zip(rows["shard"].to_pylist(), rows["shard_row"].to_pylist(), strict=True)
    for shard, row in columns:
        if taken >= budget_tokens:
            break
        tokens = document_tokens(workspace, atoms.shards[shard], row)[:-1][:MAX_DOCUMENT_TOKENS]
        pieces.append(np.asarray(tokens))
        n_bytes.append(int(lengths[tokens].sum()))
        taken += len(tokens)
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    count = len(pieces)
    component = np.array(rows["component"].to_pylist()[:count])
    doc_id = np.array(rows["doc_id"].to_pylist()[:count])
    return HeldOut(target, population, np.concatenate(pieces), offsets, np.array(n_bytes, np.int64), component, doc_id)


def canary_set(workspace: str) -> HeldOut:
    """Make the held-out set of the canary: the facts of its training slots, in other orders."""
    lengths = token_byte_lengths(workspace)
    facts = canary_facts(lengths)
    size = CANARY_DOCUMENT_FACTS * facts.shape[1]
    documents = [canary_tokens(facts, size, "heldout", number) for number in range(CANARY_DOCUMENTS)]
    names = np.array([f"{CANARY}-{number}" for number in range(CANARY_DOCUMENTS)])
    n_bytes = np.array([lengths[document].sum() for document in documents], np.int64)
    offsets = np.arange(CANARY_DOCUMENTS + 1, dtype=np.int64) * size
    return HeldOut(CANARY, CANARY, np.concatenate(documents), offsets, n_bytes, names, names)


def heldout_sets(workspace: str, atoms: Atoms, targets: Iterable[str], budget_tokens: int) -> list[HeldOut]:
    """Read the held-out sets of all targets, both populations."""
    return [heldout_set(workspace, atoms, t, p, budget_tokens) for t in targets for p in POPULATIONS]


def heldout_texts(heldout: HeldOut, vocabulary: Sequence[bytes]) -> list[str]:
    """Decode documents; a character that was cut in two at the end of a document is left out.

    Args:
        heldout: the documents.
        vocabulary: bytes of each token of the workspace's tokenizer.
    """
    texts = []
    for start, stop in zip(heldout.offsets[:-1], heldout.offsets[1:], strict=True):
        data = b"".join(vocabulary[index] for index in heldout.ids[start:stop])
        cut = next((n for n in range(4) if _is_utf8(data[: len(data) - n])), 0)
        texts.append(data[: len(data) - cut].decode("utf-8"))
    return texts


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
