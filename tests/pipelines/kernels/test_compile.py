"""Kernels under bounds checks give the same results; the cache goes where it may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.kernels import compile as kernel_options

ROOT = Path(__file__).parents[3]

ALL_KERNELS = """
import hashlib, itertools, json, random, sys
import numpy as np, pyarrow as pa
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.hashing import load_u64
from pipelines.kernels.jaccard import jaccard_pairs
from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys
from pipelines.kernels.minhash import minhash_signatures, shingle_hashes

generator = random.Random(3)
alphabet = "abcdeABC ...  \\nİΣσȺⱥ的一是不😀𐐀ابت"
texts = ["".join(generator.choices(alphabet, k=generator.randrange(120))) for _ in range(150)]
texts += ["Ⱥ" * 40, "Ⱥ Ⱥ Ⱥ", "a b c d e f g", "a", "", "😀", "𐐀", "a b c d e f g Σ"] + texts[:40]
column = pa.array(texts)
signatures, n_words, n_shingles = minhash_signatures(column)
sets = shingle_hashes(column)
keys = band_keys(signatures, 14, 8)
leader, similarity = leader_scan(keys, signatures, sets.hashes, sets.offsets, 0.8)
pairs = jaccard_pairs(sets.hashes, sets.offsets, np.arange(len(texts) - 1), np.arange(1, len(texts)))
digest = hashlib.sha256()
for array in (signatures, n_words, n_shingles, *sets, keys, leader, similarity, pairs):
    digest.update(array.tobytes())
try:
    outside = str(load_u64(np.zeros(8, np.uint8), 1)) if KERNEL["boundscheck"] else "not tried"
except IndexError:
    outside = "IndexError"
removed = int((leader != np.arange(len(texts))).sum())
print(json.dumps([KERNEL["boundscheck"], KERNEL["cache"], outside, removed, digest.hexdigest()]))
"""


def run_all_kernels(**environment: str) -> list:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALL_KERNELS],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MIXTRACE_BOUNDSCHECK": "0"} | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(child.stdout)


def test_bounds_checks_find_nothing_and_change_nothing() -> None:
    checked = run_all_kernels(MIXTRACE_BOUNDSCHECK="1")
    usual = run_all_kernels()
    assert checked[:3] == [True, False, "IndexError"]
    assert usual[0] is False
    assert checked[3:] == usual[3:]
    assert usual[3] >= 30  # removed documents


def test_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kernel_options.user_cache_dir() == tmp_path / "cache" / "mixtrace"
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert kernel_options.user_cache_dir() is None


def test_source_digest_changes_with_any_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compile.py").write_text("a = 1\n")
    (tmp_path / "other.py").write_text("b = 1\n")
    monkeypatch.setattr(kernel_options, "__file__", str(tmp_path / "compile.py"))
    before = kernel_options.source_digest()
    (tmp_path / "other.py").write_text("b = 2\n")
    assert kernel_options.source_digest() != before
