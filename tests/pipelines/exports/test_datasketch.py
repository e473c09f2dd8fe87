"""Signatures go to datasketch and come back; its index has our candidates."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import MinHash, MinHashLSH

from pipelines.contracts.dedup import Near
from pipelines.exports.datasketch import from_lsh, from_minhashes, to_lsh, to_minhashes
from pipelines.kernels.lsh import band_keys
from pipelines.stages.measure import measure_signatures

NEAR = Near(num_perm=64, bands=15, rows=4, seed=7)  # four values are in no band


@pytest.fixture(scope="module")
def signatures() -> pa.Table:
    generator = random.Random(1)
    texts = []
    for _ in range(30):
        words = [f"w{generator.randrange(500)}" for _ in range(60)]
        texts += [" ".join(w if generator.random() > 0.03 else "x" for w in words) for _ in range(3)]
    return measure_signatures(0, 0, pa.array(texts), NEAR)


def test_there_and_back(signatures: pa.Table) -> None:
    minhashes = to_minhashes(signatures, NEAR)
    values = np.array(signatures["signature"].to_pylist(), np.uint32)
    np.testing.assert_array_equal(from_minhashes(minhashes, NEAR), values)
    assert minhashes[0].jaccard(minhashes[1]) == (values[0] == values[1]).mean()
    assert from_minhashes([], NEAR).shape == (0, 64)


def test_an_index_has_our_candidates(signatures: pa.Table) -> None:
    names = [f"{i:03d}" for i in range(signatures.num_rows)]
    index = to_lsh(names, to_minhashes(signatures, NEAR), NEAR)
    keys = band_keys(from_minhashes(to_minhashes(signatures, NEAR), NEAR), NEAR.bands, NEAR.rows)
    ours = {(names[i], names[j]) for i, j in combinations(range(len(names)), 2) if (keys[i] == keys[j]).any()}
    found = [index.query(minhash) for minhash in to_minhashes(signatures, NEAR)]
    assert ours == {(a, b) for a, hits in zip(names, found, strict=True) for b in hits if a < b}
    assert len(ours) > 30
    back, values = from_lsh(index, NEAR)
    assert back == names
    np.testing.assert_array_equal(band_keys(values, NEAR.bands, NEAR.rows), keys)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="expected \\('affine32', 7, 64\\)"):
        from_minhashes([MinHash(num_perm=64, seed=8, hashfunc=xxhash.xxh32_intdigest)], NEAR)
    with pytest.raises(ValueError, match="expected \\(15, 4, None\\)"):
        from_lsh(MinHashLSH(num_perm=64, params=(16, 4)), NEAR)
