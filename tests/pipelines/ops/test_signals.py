"""Groups of signals: every declared group has one function that gives exactly its columns."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.contracts import schemas
from pipelines.contracts.recipe import Recipe, Source
from pipelines.ops.signals import GROUP_FUNCTIONS, SignalInput, measure_groups

TEXTS = [
    "",
    "One line of prose, and the rest of it.\nOne line of prose.\n",
    "- a\n- b",
    "这是一个句子。\n第二句!",
    "x" * 2000,
]


def given() -> SignalInput:
    recipe = Recipe(name="t", sources=(Source(name="a", path=("x",), format="text"),))
    lang = pa.array(["und", "en", "en", "zh", "en"])
    return SignalInput(pa.array(TEXTS), lang, pa.array([0.0, 0.9, 0.5, 0.9, 0.1], pa.float32()), recipe)


def test_every_group_has_a_function_and_no_column_is_in_two_groups() -> None:
    assert list(GROUP_FUNCTIONS) == list(schemas.SIGNAL_GROUPS)
    names = [column.name for fields in schemas.SIGNAL_GROUPS.values() for column in fields]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("group", sorted(schemas.SIGNAL_GROUPS))
def test_a_group_measures_exactly_its_columns(group: str) -> None:
    fields = schemas.SIGNAL_GROUPS[group]
    assert set(GROUP_FUNCTIONS[group](given())) == {column.name for column in fields}
    made = pa.table(measure_groups(given(), [group]), schema=pa.schema(fields))
    assert made.num_rows == len(TEXTS)
    assert all(made[column.name].null_count == 0 or column.nullable for column in fields)
