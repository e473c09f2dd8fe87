"""Text of a study on a small curated corpus: partition, streams of tokens, held-out sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.commands import open_design
from analysis.data import document_tokens, token_stream, train_documents
from analysis.heldout import MAX_DOCUMENT_TOKENS, heldout_set, heldout_sets, token_byte_lengths
from analysis.mixtures import normalised
from analysis.slices import Slice, partition
from pipelines.contracts.errors import ConfigError

PREDICATES = st.lists(
    st.sampled_from(
        ["source = 'lines'", "text_bytes > 500", "lang = 'en'", "NOT kept", "gopher_words < 60", "split = 'train'",
         "leads_near_duplicate", "duplicate_kind = 'near'", "similarity > 0.9", "list_contains(failed_rules, 'long')"]
    ),
    min_size=1, max_size=4, unique=True,
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(predicates=PREDICATES)
def test_atoms_are_disjoint_and_complete(workspace: Path, predicates: list[str]) -> None:
    slices = tuple(Slice(f"s{i}", where) for i, where in enumerate(predicates))
    try:
        atoms = partition(str(workspace), slices)
    except ConfigError as error:
        assert "empty slice" in error.message  # noqa: PT017 - some predicates hold for nothing here
        return
    flags = [atoms.table[f"in_{one.name}"].to_numpy() for one in slices]
    kept, lang = atoms.table["kept"].to_pylist(), atoms.table["lang"].to_pylist()
    for row, atom in enumerate(atoms.table["atom"].to_pylist()):
        names = "+".join(one.name for one, flag in zip(slices, flags, strict=True) if flag[row])
        assert atom == f"{names}/{lang[row]}" + ("" if kept[row] else "/dropped")
    assert len(set(atoms.table["doc_id"].to_pylist())) == atoms.table.num_rows
    assert (
        sum(atoms.tokens_by_atom("train").values()) + sum(atoms.tokens_by_atom("heldout").values())
        == pc.sum(atoms.table["tokens"]).as_py()
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("no_such_column = 1", "not SQL"),
        ("text_bytes", "not a condition"),
        ("source = 'none'", "empty slice"),
        ("((", "not SQL"),
    ],
)
def test_a_wrong_predicate_names_its_slice(workspace: Path, where: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        partition(str(workspace), (Slice("mine", where),))
    assert "slice 'mine'" in caught.value.message


def test_a_run_reads_chunks_of_the_shards_and_never_what_is_held_out(workspace: Path, design_file: Path) -> None:
    design, atoms = open_design(workspace, design_file)
    full = design.cells[0].mixture
    stream = token_stream(str(workspace), atoms, (full, full), "0/0", "none", 400, 16)
    rows = stream.slots_tokens(0, 400)
    assert np.array_equal(rows[37:120], stream.slots_tokens(37, 120))
    for index in (0, 7, 399):
        atom = stream.slots.names[stream.slots.atom[index]]
        documents = train_documents(atoms, full)[atom]
        pieces = [
            document_tokens(str(workspace), atoms.shards[shard], row)
            for shard, row in zip(documents["shard"].to_pylist(), documents["shard_row"].to_pylist(), strict=True)
        ]
        joined = np.concatenate(pieces)
        start = int(stream.chunks[atom][stream.slots.position[index] % len(stream.chunks[atom])]) * 16
        assert np.array_equal(rows[index], np.take(joined, np.arange(start, start + 17), mode="wrap"))
    held = set(atoms.table.filter(pc.equal(atoms.table["split"], "heldout"))["component"].to_pylist())
    used = {c for documents in train_documents(atoms, full).values() for c in documents["component"].to_pylist()}
    assert not held & used


def test_pools_restrict_components_and_small_atoms_are_read_again(workspace: Path, design_file: Path) -> None:
    _, atoms = open_design(workspace, design_file)
    tokens = atoms.tokens_by_atom()
    atom = max(tokens, key=lambda name: (tokens[name], name))
    whole, part = normalised({atom: 1.0}), normalised({atom: 1.0}, {atom: 0.3})
    components = [set(train_documents(atoms, m)[atom]["component"].to_pylist()) for m in (whole, part)]
    assert components[1] < components[0]
    stream = token_stream(str(workspace), atoms, (part, part), "0/0", "none", 3000, 16)
    drawn = stream.drawn()[atom]
    assert drawn["tokens"] == 48_000
    assert drawn["epochs"] == pytest.approx(48_000 / drawn["pool_tokens"])
    if drawn["epochs"] > 1:
        count = len(stream.chunks[atom])
        assert np.array_equal(stream.slots_tokens(0, 1), stream.slots_tokens(count, count + 1))


def test_heldout_sets_have_a_budget_exact_bytes_and_no_copies(workspace: Path, design_file: Path) -> None:
    _, atoms = open_design(workspace, design_file)
    lengths = token_byte_lengths(str(workspace))
    for heldout in heldout_sets(str(workspace), atoms, ("lines", "pages"), 600):
        assert len(heldout.ids) < 600 + MAX_DOCUMENT_TOKENS
        for row, size in enumerate(heldout.n_bytes):
            ids = heldout.ids[heldout.offsets[row] : heldout.offsets[row + 1]]
            assert size == lengths[ids].sum()
            assert 0 not in ids
    everything = heldout_set(str(workspace), atoms, "lines", "unfiltered", 10**9)
    kept = heldout_set(str(workspace), atoms, "lines", "kept", 10**9)
    assert set(kept.doc_id) < set(everything.doc_id)
    assert len(set(zip(everything.component, everything.n_bytes, strict=True))) >= len(everything.doc_id) * 0.9
