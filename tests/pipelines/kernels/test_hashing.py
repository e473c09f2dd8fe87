"""The hash kernels against the xxhash package and against plain-integer definitions."""

from __future__ import annotations

import random

import numpy as np
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from pipelines.kernels import hashing


@njit
def mixers(values: np.ndarray, mixed: np.ndarray) -> None:
    for i in range(len(values)):
        mixed[i, 0] = hashing.fmix32(np.uint32(values[i]))
        mixed[i, 1] = hashing.mix64(values[i])
        mixed[i, 2] = hashing.rotl32(np.uint32(values[i]), 13)
        mixed[i, 3] = hashing.rotl64(values[i], 31)


@njit
def loads(data: np.ndarray, start: int) -> tuple[int, int]:
    return hashing.load_u32(data, start), hashing.load_u64(data, start)


def assert_equal_xxhash(before: bytes, text: bytes, after: bytes) -> None:
    data = np.frombuffer(before + text + after, np.uint8)
    start, end = len(before), len(before) + len(text)
    assert hashing.xxh32(data, start, end) == xxhash.xxh32_intdigest(text)
    assert hashing.xxh64(data, start, end) == xxhash.xxh64_intdigest(text)


def test_equal_xxhash_at_every_length_and_alignment() -> None:
    generator = random.Random(7)
    for length in range(301):
        assert_equal_xxhash(
            generator.randbytes(length % 9), generator.randbytes(length), generator.randbytes(length % 5)
        )


@settings(deadline=None)  # the first call compiles
@given(before=st.binary(max_size=9), text=st.binary(max_size=300), after=st.binary(max_size=9))
def test_equal_xxhash_on_any_bytes(before: bytes, text: bytes, after: bytes) -> None:
    assert_equal_xxhash(before, text, after)


@settings(deadline=None)  # the first call compiles
@given(data=st.binary(min_size=8, max_size=40), start=st.integers(0, 32))
def test_loads_are_little_endian_at_any_byte(data: bytes, start: int) -> None:
    start = min(start, len(data) - 8)
    low, all_ = loads(np.frombuffer(data, np.uint8), start)
    assert low == int.from_bytes(data[start : start + 4], "little")
    assert all_ == int.from_bytes(data[start : start + 8], "little")


def fmix32(x: int) -> int:
    x ^= x >> 16
    x = x * 0x85EBCA6B % 2**32
    x ^= x >> 13
    x = x * 0xC2B2AE35 % 2**32
    return x ^ x >> 16


def mix64(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def test_mixers_and_rotations_are_their_definitions() -> None:
    values = np.random.default_rng(5).integers(0, 2**64, 2000, np.uint64)
    values[:3] = 0, 1, 2**64 - 1
    mixed = np.zeros((len(values), 4), np.uint64)
    mixers(values, mixed)
    for value, got in zip(values.tolist(), mixed.tolist(), strict=True):
        low = value % 2**32
        assert got == [
            fmix32(low),
            mix64(value),
            (low << 13 | low >> 19) % 2**32,
            (value << 31 | value >> 33) % 2**64,
        ]
    # published outputs of SplitMix64 with seed 1234567: the finaliser of seed + the golden gamma
    first = np.array([1234567 + 0x9E3779B97F4A7C15], np.uint64)
    mixers(first, mixed)
    assert mixed[0, 1] == 6457827717110365317
