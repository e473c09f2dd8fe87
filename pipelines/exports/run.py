"""Run an export: one file after another, resumable, with a manifest that says what is there.

`stages/export/manifest.json` in the export's folder lists every file with rows, bytes and hash. A file is done when its
entry names the same shards; a second run writes nothing. Files of an earlier export that no longer belong are removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pipelines.beam.display import Display
from pipelines.beam.driver import load_workspace, software_versions
from pipelines.beam.progress import Marker
from pipelines.contracts import ids, manifest, storage
from pipelines.contracts.manifest import OutputFile, TaskManifest
from pipelines.contracts.tasks import Progress
from pipelines.exports import flat, hf, megatron
from pipelines.exports.files import ExportFile, Selection, plan_files, read_tokenized
from pipelines.stages.tokenize import read_tokenizer
from pipelines.stages.tokenizer import end_of_text_id, vocab_size

Write = Callable[[str, ExportFile, str, np.dtype, int, Progress], list[OutputFile]]
"""Writes one file: (workspace, file, folder of the export, type of an id, id of the end-of-text token, progress) -> what it wrote."""

FORMATS: Final[dict[str, Write]] = {
    "megatron": megatron.write,
    "npy": flat.write_npy,
    "raw": flat.write_raw,
    "hf": hf.write,
}
MAX_FILE_GB: Final = 16.0
_VERSION: Final = 1


@dataclass(frozen=True)
class ExportOptions:
    """An export.

    Attributes:
        workspace: folder made by `curate`.
        format: a key of FORMATS.
        out: folder or prefix; None: `exports/<format>` in the workspace.
        selection: which documents.
        max_file_gb: size of a file of ids; a file holds whole shards. `hf` writes one file per shard.
    """

    workspace: str
    format: str
    out: str | None = None
    selection: Selection = field(default_factory=Selection)
    max_file_gb: float = MAX_FILE_GB


class _Beats:
    """Progress of the whole export, shown as it comes."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._markers: dict[str, Marker] = {}
        self._key = ""

    def start(self, key: str) -> None:
        self._key = key
        self._markers[key] = Marker()

    def beat(self, documents: int, text_bytes: int) -> None:
        was = self._markers[self._key]
        self._markers[self._key] = Marker(was.sequence + 1, was.documents + documents, was.text_bytes + text_bytes)
        self._display.show("export", self._markers)

    def at(self, path: str, offset: int) -> None:
        """Records are not looked at one by one."""


def run_export(options: ExportOptions) -> str:
    """Export and return the folder.

    Raises:
        InputError: if the workspace has no shards or the selection names what is not there.
        StageError: if shards and manifests disagree.
        ResourceError: if the disk is full; what is done stays, and the same command resumes.
    """
    context, plan = load_workspace(options.workspace)
    tokenized = read_tokenized(options.workspace)
    tokenizer_json = read_tokenizer(options.workspace)
    id_type = np.dtype(np.uint16 if vocab_size(tokenizer_json) <= 1 << 16 else np.uint32)
    max_tokens = 0 if options.format == "hf" else options.max_file_gb * 1e9 / id_type.itemsize
    files = plan_files(tokenized, options.selection, max_tokens)
    end = end_of_text_id(tokenizer_json, context.recipe.tokenizer.end_of_text)
    out = options.out or storage.join(options.workspace, "exports", options.format)
    marks = {
        file.name: ids.fingerprint(options.format, _VERSION, file.name, end, [s.hash for s in file.shards])
        for file in files
    }
    earlier = manifest.read_tasks(out, "export")
    todo = [file for file in files if not _is_done(out, earlier.get(_key(file)), marks[file.name])]
    display = Display()
    beats = _Beats(display)
    try:
        display.stage_started("export", len(todo), len(files) - len(todo))
        for file in todo:
            beats.start(_key(file))
            outputs = FORMATS[options.format](options.workspace, file, out, id_type, end, beats)
            counts = {"documents": file.documents, "tokens": file.tokens}
            manifest.commit(out, TaskManifest("export", _key(file), marks[file.name], tuple(outputs), counts))
        storage.write_bytes(storage.join(out, "tokenizer.json"), tokenizer_json.encode())
        if options.format == "hf":
            storage.write_bytes(storage.join(out, "README.md"), hf.card(context.recipe, plan.corpus_id, files).encode())
        merged = manifest.merge(out, "export", [_key(file) for file in files], software_versions())
        _remove_stale(out, earlier, {output.path for output in merged.outputs})
        display.stage_finished("export", merged.counts)
    finally:
        display.close()
    return out


def _key(file: ExportFile) -> str:
    return file.name.replace("/", "_")


def _is_done(out: str, task: TaskManifest | None, mark: str) -> bool:
    """Say whether a file is there as an earlier run has written it."""
    if task is None or task.fingerprint != mark:
        return False
    paths = {storage.join(out, output.path): output.bytes for output in task.outputs}
    return all(storage.exists(path) and storage.size_bytes(path) == size for path, size in paths.items())


def _remove_stale(out: str, earlier: dict[str, TaskManifest], wanted: set[str]) -> None:
    for task in earlier.values():
        for output in task.outputs:
            if output.path not in wanted:
                storage.remove_tree(storage.join(out, output.path))
