"""Our kernels over a JSONL file in one process: read, language, statistics, MinHash, duplicates, BPE, Arrow shard.

Prints one JSON line: CPU seconds per step. Kernels are compiled and tables built before the clock starts;
the caches of words and pre-tokens start cold.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

import numpy as np
import orjson
import pyarrow as pa

from pipelines.kernels.language import LanguageIdentifier
from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys, star_edges
from pipelines.kernels.minhash import minhash_signatures, shingle_hashes
from pipelines.ops.signals import quality_signals
from pipelines.ops.tokenize_text import load_encoder
from pipelines.stages.components import label_components

_BATCH_ROWS = 2048


def run(path: str, tokenizer: str, sink: str) -> dict[str, float]:
    """Run the chain; returns CPU seconds per step."""
    cpu: Counter[str] = Counter()
    identifier, encoder = LanguageIdentifier.load(), load_encoder(tokenizer)
    clock = time.process_time()

    def lap(step: str) -> None:
        nonlocal clock
        now = time.process_time()
        cpu[step] += now - clock
        clock = now

    with open(path, "rb") as file:
        text = pa.array([orjson.loads(line)["text"] for line in file], pa.large_string())
    lap("read")
    sketches, shingles, offsets = [], [], [np.zeros(1, np.int64)]
    writer = None
    for start in range(0, len(text), _BATCH_ROWS):
        batch = text.slice(start, _BATCH_ROWS)
        identifier.predict(batch)
        lap("language")
        quality_signals(batch)
        lap("statistics")
        sketches.append(minhash_signatures(batch).signatures)
        sets = shingle_hashes(batch)
        shingles.append(sets.hashes)
        offsets.append(sets.offsets[1:] + offsets[-1][-1])
        lap("minhash and shingles")
        ids, ends = encoder.encode(batch)
        lap("bpe")
        rows = pa.record_batch({"input_ids": pa.LargeListArray.from_arrays(pa.array(ends), pa.array(ids))})
        writer = writer or pa.ipc.new_stream(sink, rows.schema)
        writer.write_batch(rows)
        lap("shards")
    if writer is not None:
        writer.close()
    keys = band_keys(np.concatenate(sketches), 14, 8)
    nodes = np.repeat(np.arange(len(text), dtype=np.uint64), 14)
    label_components(*star_edges(keys.reshape(-1), nodes))
    leader_scan(keys, np.concatenate(sketches), np.concatenate(shingles), np.concatenate(offsets), 0.8)
    lap("duplicates")
    return dict(cpu)


def warm_up(tokenizer: str) -> None:
    """Compile every kernel on a few words."""
    text = pa.array(["Hello world, this is a test. 你好 мир"] * 3, pa.large_string())
    LanguageIdentifier.load().predict(text)
    quality_signals(text)
    keys = band_keys(minhash_signatures(text).signatures, 14, 8)
    sets = shingle_hashes(text)
    star_edges(keys.reshape(-1), np.repeat(np.arange(3, dtype=np.uint64), 14))
    leader_scan(keys, minhash_signatures(text).signatures, sets.hashes, sets.offsets, 0.8)
    load_encoder(tokenizer).encode(text)


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as given:
        tokenizer_text = given.read()
    warm_up(tokenizer_text)
    print(json.dumps(run(sys.argv[1], tokenizer_text, sys.argv[3])))
