"""Signatures to datasketch 2.0 (LeanMinHash, MinHashLSH) and back. The only module that imports datasketch.

Signatures are datasketch's own, bit by bit (scheme `affine32`, hash function xxh32), and its bands are the
same runs of values, so an index has exactly the candidate pairs of the stage match:

    minhashes = to_minhashes(tables.read_table(workspace, "signatures/part-00000.parquet"), recipe.dedup.near)
    index = to_lsh(doc_ids, minhashes, recipe.dedup.near)
    index.query(minhashes[0])

Nothing else imports this module: datasketch takes 1.6 s to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from datasketch import LeanMinHash, MinHash, MinHashLSH

from pipelines.contracts.dedup import Near

SCHEME = "affine32"


def to_minhashes(signatures: pa.Table, near: Near) -> list[LeanMinHash]:
    """Make datasketch objects of rows of the table `signatures`.

    Args:
        signatures: [rows] with the column signature.
        near: seed and number of values.

    Returns:
        One LeanMinHash per row; its `jaccard` and `count` are datasketch's.
    """
    values = signatures["signature"].combine_chunks().flatten().to_numpy().reshape(-1, near.num_perm)
    return [LeanMinHash(seed=near.seed, hashvalues=row, scheme=SCHEME) for row in values]


def from_minhashes(minhashes: Iterable[MinHash | LeanMinHash], near: Near) -> np.ndarray:
    """Return the signatures of datasketch objects, uint32 [rows, num_perm].

    They can be compared with ours if they hash the same shingles by `xxhash.xxh32_intdigest`.

    Raises:
        ValueError: for another scheme, seed or number of values.
    """
    rows = []
    for minhash in minhashes:
        found = (minhash.scheme, int(minhash.seed), len(minhash))
        if found != (SCHEME, near.seed, near.num_perm):
            raise ValueError(f"from_minhashes: got {found}; expected {(SCHEME, near.seed, near.num_perm)}")
        rows.append(np.asarray(minhash.hashvalues, np.uint32))
    return np.stack(rows) if rows else np.zeros((0, near.num_perm), np.uint32)


def to_lsh(doc_ids: Sequence[str], minhashes: Sequence[LeanMinHash], near: Near) -> MinHashLSH:
    """Make an index whose candidates are those of the stage match.

    Args:
        doc_ids: [rows]; leave out documents with fewer than `near.ngram` words, which take part by hash only.
        minhashes: [rows].
        near: bands and rows per band.
    """
    index = MinHashLSH(num_perm=near.num_perm, params=(near.bands, near.rows))
    with index.insertion_session() as session:
        for doc_id, minhash in zip(doc_ids, minhashes, strict=True):
            session.insert(doc_id, minhash)
    return index


def from_lsh(index: MinHashLSH, near: Near) -> tuple[list[str], np.ndarray]:
    """Return what an index holds in memory: its keys, and the part of their signatures that its bands use.

    Returns:
        keys, sorted, and uint32 [keys, bands * rows per band] for `lsh.band_keys`.

    Raises:
        ValueError: for other bands, or an index that hashes them.
    """
    if (index.b, index.r) != (near.bands, near.rows) or index.hashfunc is not None:
        found = (index.b, index.r, index.hashfunc)
        raise ValueError(f"from_lsh: got bands, rows, hash function {found}; expected {(near.bands, near.rows, None)}")
    keys = sorted(index.keys)
    bands = [b"".join(index.keys[key]) for key in keys]
    values = np.frombuffer(b"".join(bands), ">u4").reshape(len(keys), near.bands * near.rows)
    return keys, values.astype(np.uint32)
