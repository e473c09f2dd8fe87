"""What `verify` recomputes of repeated lines: the cut of every part, and of every line who holds and who keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from pipelines.contracts import ids, tables
from pipelines.contracts.errors import VerifyError, message
from pipelines.contracts.recipe import Lines, Recipe
from pipelines.contracts.tasks import Payload, part_file
from pipelines.ops.lines import match_units, units_of, without_units
from pipelines.ops.tombstones import is_removed
from pipelines.stages import ingest
from pipelines.stages.payloads import node_of

CLAIM = np.dtype(
    [("key", "<u8"), ("text", "<u8"), ("node", "<u8"), ("gone", "?"), ("documents", "<i4"), ("keeper", "<u8")]
)
"""One distinct unit of one document, and what `removed_lines` says of it."""


def check_part(workspace: str, recipe: Recipe, part: int) -> Iterator[np.ndarray]:
    """Check that the documents of a part are what was ingested without what `removed_lines` names.

    Yields:
        CLAIM [units]: every distinct unit of the documents of a batch, if their source counts.

    Raises:
        VerifyError: naming the document.
    """
    removed = tables.read_table(workspace, part_file("removed_lines", part))
    row, start, end = (removed[name].to_numpy() for name in ("row", "start", "end"))
    cut = tables.read_table(workspace, part_file("documents", part), ["doc_id", "text", "text_bytes", "edits"])
    done = 0
    for batch in tables.read_batches(workspace, ingest.documents_file(recipe, part)):
        low, high = np.searchsorted(row, [done, done + batch.num_rows])
        expected = without_units(batch, row[low:high] - done, start[low:high], end[low:high]).select(cut.schema.names)
        found = cut[done : done + batch.num_rows]
        sized = pa.array(~is_removed(found["edits"]))  # a removed document has the size that its text had when it went
        if not (
            expected.drop(["text_bytes"]).equals(found.drop(["text_bytes"]))
            and expected["text_bytes"].filter(sized).equals(found["text_bytes"].filter(sized))
        ):
            pairs = zip(expected.to_pylist(), found.to_pylist(), strict=False)
            first = next((e["doc_id"] for e, f in pairs if e != f), "the last of it")
            where = f"part {part}, document {first}"
            raise VerifyError(message(where, "text is not what was read without its removed_lines", "another", "it"))
        yield unit_claims(recipe, part, batch, removed[int(low) : int(high)])
        done += batch.num_rows
    if done != cut.num_rows:
        raise VerifyError(message(f"part {part}", "documents", cut.num_rows, f"{done}, as many as were read"))


def unit_claims(recipe: Recipe, part: int, batch: pa.Table, removed: pa.Table) -> np.ndarray:
    """Return every distinct unit of some documents, with what `removed_lines` says of it; CLAIM [units].

    Raises:
        VerifyError: a document lost some of the copies of a unit that it holds, or what is no unit.
    """
    lines = recipe.lines
    if lines is None or not batch.num_rows or not lines.concerns(batch["source"][0].as_py()):
        return np.empty(0, CLAIM)
    first = batch["row"][0].as_py()
    units = units_of(batch["text"].combine_chunks(), lines)
    rows, keys = removed["row"].to_numpy().astype(np.int64) - first, removed["key"].to_numpy()
    _, distinct = np.unique(np.stack([rows.astype(np.uint64), keys], axis=1), axis=0, return_index=True)
    found = match_units(units, rows[distinct], keys[distinct])
    spans = set(zip(units.row[found >= 0].tolist(), units.start[found >= 0].tolist(), strict=True))
    stated = set(zip(rows.tolist(), removed["start"].to_pylist(), strict=True))
    if spans != stated:
        where = f"part {part}, rows {first} to {first + batch.num_rows - 1}"
        raise VerifyError(message(where, "removed_lines are not all units of their keys", len(stated), str(len(spans))))
    claims = np.zeros(len(units.row), CLAIM)
    hashes = ids.hex_to_u64(batch["content_hash"].to_pylist())
    claims["key"], claims["text"] = units.key, hashes[units.row]
    claims["node"], claims["gone"] = node_of(part, batch["row"].to_numpy())[units.row], found >= 0
    at = distinct[np.maximum(found, 0)] if len(distinct) else np.zeros(0, np.int64)
    gone = found >= 0
    claims["documents"][gone] = removed["documents"].to_numpy()[at[gone]] if gone.any() else 0
    if gone.any() and lines.keep == "one":
        nodes = node_of(removed["keeper_part"].to_numpy(), removed["keeper_row"].to_numpy())
        claims["keeper"][gone] = nodes[at[gone]]
    return np.unique(claims)


def check_units(payloads: Iterable[Payload], lines: Lines, removed: frozenset[int] = frozenset()) -> int:
    """Check that exactly the units go that enough texts hold, and that the least text keeps them.

    Documents that were removed on request still count, and may have been the keeper; their texts cannot be asked.

    Args:
        payloads: packed CLAIM arrays: all claims of some keys.
        lines: the recipe's section.
        removed: nodes of documents that were removed on request.

    Returns:
        Distinct units.

    Raises:
        VerifyError: naming the key and the document.
    """
    claims = np.frombuffer(b"".join(payloads), CLAIM)
    claims = claims[np.lexsort((claims["node"], claims["text"], claims["key"]))]
    keys, starts, sizes = np.unique(claims["key"], return_index=True, return_counts=True)
    for key, start, size in zip(keys.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        wrong = _wrong(claims[start : start + size], lines, removed)
        if wrong.any():
            part, row = divmod(int(claims["node"][start + np.flatnonzero(wrong)[0]]), 1 << 32)
            where = f"unit {key:016x} of part {part}, row {row}"
            expected = f"at least {lines.min_documents} texts, of which the least keeps it"
            raise VerifyError(message(where, "wrong about who keeps it", "other documents", expected))
    return len(keys)


def _wrong(held: np.ndarray, lines: Lines, removed: frozenset[int]) -> np.ndarray:
    """Say which claims on one key, sorted by text and node, are wrong; bool [claims]."""
    texts = len(set(held["text"].tolist()))
    gone = held["gone"]
    if not gone.any():
        return np.full(len(held), texts >= lines.min_documents)
    stated, keeper = int(held["documents"][gone][0]), int(held["keeper"][gone][0])
    enough = lines.min_documents <= stated and texts <= stated <= texts + len(removed)
    wanted = np.ones(len(held), bool)
    if lines.keep == "one" and keeper not in removed:
        wanted = held["text"] != held["text"][0]
        enough &= keeper == int(held["node"][0])
    wrong = (gone != wanted) | (gone & (held["documents"] != stated)) | (gone & (held["keeper"] != keeper))
    return wrong | (not enough)
