"""A small study of the curated test corpus (`study_workspace`): what its tests have in common."""

from __future__ import annotations

from pathlib import Path

DESIGN = """
name: tiny
slices:
  lines: {where: "source = 'lines'"}
  notes: {where: "source = 'notes'"}
  pages: {where: "source IN ('web', 'wiki')"}
leave_out: [lines, notes]
near_duplicates: {slice: lines, share: 0.25, min_duplicate_tokens: 50}
rejects: {share: 0.25, min_pool_tokens: 200}
proxy: {d_model: 16, layers: 1, heads: 1, context: 16, batch: 8, dtype: float32, compile: "off"}
blocks: 2
tokens: 8192
eval_tokens: 600
choice_items: 0
max_epochs: 40
"""


def changed(*changes: tuple[str, str]) -> str:
    """Return the design with pieces of its text replaced, each of which must be there."""
    text = DESIGN
    for change in changes:
        assert change[0] in text
        text = text.replace(*change)
    return text


def altered(workspace: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Write the design with changes; returns the file."""
    path = workspace / name
    path.write_text(changed(*changes))
    return path


SHOWN = changed(('compile: "off"}', 'compile: "off", adequacy: show}'))
"""The same, with the verdicts of a proxy that loses to the 3-gram."""
