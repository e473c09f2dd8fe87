"""Made documents for the tests of designs: predicates are run by DuckDB, as in `partition`, on rows made here."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from analysis.design_file import DesignSpec
from analysis.designs import BY_SOURCE, Design, build_design, design_slices
from analysis.slices import Atoms

SLICES = {"web": {"where": "source IN ('help', 'guide')"}, "books": {"where": "source = 'books'"}}
SOURCES = ("help", "guide", "books")
LANGUAGES = ("en", "de")


def documents(count: int = 900, seed: int = 0) -> pa.Table:
    """Make documents: a third fails rules a, b or both, some are near-duplicates, each tenth is held out."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        failed = [rule for rule in ("a", "b") if rng.random() < 0.25]
        near = not failed and number % 3 == 1
        rows.append(
            {
                "doc_id": f"{number:032x}",
                "source": SOURCES[number // 3 % 3],
                "lang": LANGUAGES[int(rng.random() < 0.3)],
                "tokens": int(rng.integers(20, 200)),
                "component": f"c{number - 1 if near else number:04d}",
                "split": "heldout" if number % 10 == 9 else "train",
                "kept": not failed and not near,
                "failed_rules": failed or (["near_duplicate"] if near else []),
                "first_reason": failed[0] if failed else "near_duplicate" if near else None,
                "score": float(rng.random()),
                "similarity": float(rng.uniform(0.8, 1.0)) if near else None,
                "leads_near_duplicate": not failed and not near and number % 3 == 0,
            }
        )
    schema = pa.schema([("failed_rules", pa.list_(pa.string())), ("similarity", pa.float64())])
    names = list(rows[0])
    columns = {
        name: pa.array([row[name] for row in rows], schema.field(name).type if name in schema.names else None)
        for name in names
    }
    return pa.table(columns)


def spec_of(kind: str, **changes: object) -> DesignSpec:
    """Return a design of a kind on the made slices."""
    values = {"name": kind, "design": kind, "slices": SLICES, "tokens": 8192, "max_epochs": 100, **changes}
    return DesignSpec.model_validate(values)


def atoms_of(spec: DesignSpec, table: pa.Table | None = None) -> Atoms:
    """Refine the slices of a design over made documents."""
    rows = documents() if table is None else table
    slices = design_slices(spec)
    connection = duckdb.connect()
    connection.register("document_view", rows)
    flags = ", ".join(f'coalesce(({one.where}), false) AS "in_{one.name}"' for one in slices)
    names = ", ".join(f"CASE WHEN coalesce(({one.where}), false) THEN '{one.name}' END" for one in slices)
    place = " || '@' || source" if spec.design in BY_SOURCE else ""
    found = connection.sql(f"""
        SELECT concat_ws('+', {names}){place} || '/' || lang || CASE WHEN kept THEN '' ELSE '/dropped' END AS atom,
               doc_id, 0::INT AS shard, (row_number() OVER ())::INT - 1 AS shard_row, tokens, tokens * 3 AS bytes,
               component, source, lang, split, kept, {flags}
        FROM document_view ORDER BY doc_id
    """).to_arrow_table()
    return Atoms(slices, found, ("tokens/kept/all",), "made")


def design_of(spec: DesignSpec, table: pa.Table | None = None) -> tuple[Design, Atoms]:
    """Build a design on made documents."""
    atoms = atoms_of(spec, table)
    return build_design(spec, atoms, atoms.corpus), atoms


def weight_of(design: Design, atoms: Atoms, cell: str, slice_: str) -> float:
    """Return the weight of a slice, kept or not, in a cell."""
    mine = set(atoms.atoms_of(slice_))
    return sum(weight for atom, weight in design.cell(cell).mixture.weights.items() if atom in mine)


def estimate(design: Design, contrast: str, values: dict[str, float]) -> float:
    """Return a contrast of given values of the cells."""
    coef = next(one.coef for one in design.contrasts if one.name == contrast)
    return sum(factor * values[cell] for cell, factor in coef.items())
