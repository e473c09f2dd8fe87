"""Members of components as they travel to resolve: a light row each, and the sketches to compare them by.

The light rows of a partition are held in memory (about 200 bytes each). The sketches stay where they are if they arrive
as views of a mapped file. Otherwise they are held in memory, too, up to a limit; beyond it they lie in a temporary
file that is mapped. Only the rows of a block are copied out.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids
from pipelines.contracts.tasks import Payload
from pipelines.kernels.gather import gather_runs
from pipelines.ops.block_scan import Sketches

_LIGHT = [
    pa.field("component", pa.uint64()),
    pa.field("build", pa.int32()),  # number of the earlier build; this one has the greatest
    pa.field("earlier_split", pa.string()),  # of documents of an earlier build
    pa.field("part", pa.int32()),
    pa.field("row", pa.int32()),
    pa.field("doc_id", pa.string()),
    pa.field("content_hash", pa.string()),
    pa.field("url_hash", ids.HASH),  # null without an address
    pa.field("instant", pa.int64()),  # of the date, microseconds
    pa.field("eligible", pa.bool_()),
    pa.field("rank", pa.int64()),  # survivor policy: less is better
    pa.field("share", pa.float64()),  # held-out share of its source
    pa.field("n_words", pa.int32()),
]
LIGHT = pa.schema(_LIGHT)
ORDER = [(name, "ascending") for name in ("component", "build", "rank", "content_hash", "doc_id")]
"""Components, and in each of them the total order: earlier builds first, then best first."""


def member_schema(num_perm: int) -> pa.Schema:
    """Return the schema of what resolve's map sends."""
    sketch = [("signature", pa.list_(pa.uint32(), num_perm)), ("shingles", pa.large_list(pa.uint64()))]
    return pa.schema([*_LIGHT, *(pa.field(name, kind) for name, kind in sketch)])


class MemberStore:
    """The members of one partition, in the total order, as a context manager.

    Args:
        payloads: packed batches of `member_schema`; views of mapped files take no memory.
        num_perm: values per signature.
        memory_bytes: sketches beyond this go to a temporary file.

    Attributes:
        light: [rows] table of LIGHT, sorted by ORDER.
        sizes: int64 [rows], bytes of the sketches.
        spilled: whether there is a temporary file.
    """

    def __init__(self, payloads: Iterable[Payload], num_perm: int, memory_bytes: int) -> None:
        self._schema = pa.schema(list(member_schema(num_perm))[len(_LIGHT) :])
        self._num_perm, self._memory_bytes = num_perm, memory_bytes
        self._payloads = payloads
        self.spilled = False

    def __enter__(self) -> MemberStore:
        self._files = contextlib.ExitStack()
        light: list[pa.RecordBatch] = []
        self._batches = list(self._collected(light))
        if self.spilled:
            self._writer.close()
            source = self._files.enter_context(pa.memory_map(self._path))
            reader = pa.ipc.open_file(source)
            self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        table = pa.Table.from_batches(light, LIGHT)
        order = pc.sort_indices(table, sort_keys=ORDER)
        self.light = table.take(order).combine_chunks()
        self._place = order.to_numpy().astype(np.int64)  # where each sorted row lies among those that arrived
        self._starts = np.cumsum([0, *(len(batch) for batch in light)])
        per_row = [np.diff(batch.column(1).offsets.to_numpy()) * 8 + self._num_perm * 4 for batch in self._batches]
        self.sizes = np.concatenate([np.zeros(0, np.int64), *per_row])[self._place].astype(np.int64)
        return self

    def _collected(self, light: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read the payloads; yield the sketches that stay in memory, and spill all once they are too many."""
        held: list[pa.RecordBatch] = []
        held_bytes = 0
        for payload in self._payloads:
            for batch in pa.ipc.open_stream(payload) if payload else ():
                own = pa.array(np.arange(len(batch)))  # a copy, or it would hold the payload
                light.append(batch.select(LIGHT.names).take(own))
                held.append(batch.select(self._schema.names))
                held_bytes += 0 if isinstance(payload, memoryview) else held[-1].nbytes
                if self.spilled or held_bytes > self._memory_bytes:
                    self._spill(held)
                    held = []
        yield from held

    def _spill(self, batches: list[pa.RecordBatch]) -> None:
        if not self.spilled:
            self.spilled = True
            folder = self._files.enter_context(tempfile.TemporaryDirectory(prefix="mixtrace-members-"))
            self._path = f"{folder}/sketches.arrow"
            self._writer = self._files.enter_context(pa.ipc.new_file(self._path, self._schema))
        for batch in batches:
            self._writer.write_batch(batch)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batches = []
        self._files.close()

    def load(self, rows: np.ndarray) -> Sketches:
        """Return the sketches of some rows of `light`, in their order."""
        place = self._place[rows]
        batch = np.searchsorted(self._starts, place, side="right") - 1
        lengths = (self.sizes[rows] - self._num_perm * 4) // 8
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        signatures = np.empty((len(rows), self._num_perm), np.uint32)
        shingles = np.empty(offsets[-1], np.uint64)
        for number in np.unique(batch):
            here = np.flatnonzero(batch == number)
            local = place[here] - self._starts[number]
            sketches = self._batches[number]
            own = sketches.column(0).values.to_numpy().reshape(-1, self._num_perm)
            signatures[here] = own[local]
            lists = sketches.column(1)
            starts = lists.offsets.to_numpy()[local]
            gather_runs(lists.values.to_numpy(), starts, shingles, offsets[here], lengths[here])
        return Sketches(signatures, shingles, offsets)
