"""xxh3-128 against the package xxhash, at every length that it is for."""

from __future__ import annotations

import random

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.xxh3 import LONGEST, SHORTEST, xxh3_128


def ours(before: bytes, text: bytes) -> int:
    data = np.frombuffer(before + text, np.uint8)
    upper, lower = xxh3_128(data, len(before), len(data))
    return int(upper) << 64 | int(lower)


@pytest.mark.parametrize("seed", range(3))
def test_every_length(seed: int) -> None:
    generator = random.Random(seed)
    for length in range(SHORTEST, LONGEST + 1):
        text = generator.randbytes(length)
        assert ours(generator.randbytes(length % 9), text) == xxhash.xxh3_128_intdigest(text), length


@settings(deadline=None)  # the first call compiles
@given(st.binary(max_size=9), st.binary(min_size=SHORTEST, max_size=LONGEST))
def test_any_bytes(before: bytes, text: bytes) -> None:
    assert ours(before, text) == xxhash.xxh3_128_intdigest(text)
