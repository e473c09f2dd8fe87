"""A design on a workspace: its cells, and the tokens of each run. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from analysis.data import TokenStream, token_stream
from analysis.design_file import DesignSpec
from analysis.designs import BY_SOURCE, Cell, Design, build_design, design_slices
from analysis.looks import added_blocks
from analysis.models import Proxy
from analysis.records import study_folder
from analysis.shards import token_byte_lengths
from analysis.slices import Atoms, partition


def design_of(workspace: Path, spec: DesignSpec) -> tuple[Design, Atoms]:
    """Build the cells of a design on a workspace.

    Raises:
        ConfigError: with the slice, for what the workspace lacks.
        InputError: if a shard is missing or cut short.
    """
    atoms = partition(str(workspace), design_slices(spec), by_source=spec.design in BY_SOURCE)
    design = build_design(spec, atoms, atoms.corpus)
    return replace(design, added_blocks=added_blocks(study_folder(workspace, design.design_id))), atoms


def cell_stream(workspace: Path, design: Design, atoms: Atoms, cell: Cell, block: int) -> TokenStream:
    """Return the tokens of one run; whole batches only."""
    spec = design.spec
    slots = design.tokens(cell) // spec.proxy.context // spec.proxy.batch * spec.proxy.batch
    mixtures = (cell.mixture, design.cell(cell.baseline).mixture)
    seed = f"{spec.seed}/{block if cell.vary in ('all', 'data') else 0}"
    stream = token_stream(str(workspace), atoms, mixtures, seed, cell.transform, slots, spec.proxy.context, cell.share)
    return replace(stream, order_seed=f"{spec.seed}/{block}") if cell.vary == "order" else stream


def study_proxy(workspace: Path, spec: DesignSpec) -> Proxy:
    """Return the proxy of a design, with the vocabulary of a workspace."""
    fields = spec.proxy.model_dump(exclude={"adequacy"}, exclude_none=True)
    return Proxy(vocab_size=len(token_byte_lengths(str(workspace))), eos_id=_end_of_text(workspace), **fields)


def _end_of_text(workspace: Path) -> int:
    recipe = json.loads((workspace / "recipe.json").read_text("utf-8"))
    body = json.loads((workspace / "tokenizer/tokenizer.json").read_text("utf-8"))
    content = recipe["tokenizer"]["end_of_text"]
    added = {token["content"]: token["id"] for token in body["added_tokens"]}
    return added[content] if content in added else body["model"]["vocab"][content]
