"""Cut the inputs of a recipe into parts. Plans are append-only: known files keep their part numbers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace

import xxhash

from pipelines.contracts import ids, storage
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.recipe import Recipe, Source
from pipelines.contracts.tasks import Part, Piece, Plan
from pipelines.cutting import cut_file, index_of
from pipelines.readers.compression import is_compressed

PLAN_FILE = "plan/plan.json"
_READING = {"format", "fields", "defaults", "text", "csv", "encoding"}
_COMPRESSION_RATIO = 4  # rough: only used to make parts of about equal work
_MARK_BYTES = 1 << 16


@dataclass(frozen=True)
class InputFile:
    """One input file as it was when it was planned."""

    source: str
    path: str
    size: int
    mark: str


def source_root(source: Source) -> str:
    """Return the folder that relative paths of a source start from: what its globs have in common."""
    folders = [re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0].split("/") for pattern in source.path]
    common = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    return "/".join(names[0] for names in common)


def list_inputs(recipe: Recipe) -> list[InputFile]:
    """List the input files of a recipe, ordered by source name and the UTF-8 bytes of the relative path.

    The indexes of multistream dumps are no input of their own, even if a glob matches them.

    Raises:
        InputError: if a pattern matches no file.
    """
    found: dict[tuple[str, str], InputFile] = {}
    for source in recipe.sources:
        root = source_root(source)
        for pattern in source.path:
            paths = storage.glob(pattern)
            if not paths:
                where = f"source {source.name!r}"
                raise InputError(
                    message(where, "no input file", pattern, "a path or glob that matches at least one file")
                )
            for path in paths:
                relative = path[len(root) :].lstrip("/")
                found[source.name, relative] = InputFile(source.name, relative, *_size_and_mark(path))
    indexes = {
        (source.name, index_of(path))
        for source in recipe.sources
        if source.format == "mediawiki"
        for name, path in found
        if name == source.name
    }
    return sorted((file for key, file in found.items() if key not in indexes), key=_order)


def _order(file: InputFile) -> tuple[str, bytes]:
    return file.source, file.path.encode("utf-8", "surrogateescape")


def _size_and_mark(path: str) -> tuple[int, str]:
    """Return the size of a file and a hash over its head and tail (whole-file hashing would cost a pass)."""
    size = storage.size_bytes(path)
    with storage.open_read(path) as file:
        head = file.read(_MARK_BYTES)
        file.seek(max(0, size - _MARK_BYTES))
        tail = file.read(_MARK_BYTES)
    return size, xxhash.xxh3_64_hexdigest(head + tail + str(size).encode())


def cut_parts(files: Iterable[InputFile], recipe: Recipe, first: int) -> list[Part]:
    """Cut files into parts of about `part_mb`: big splittable files are cut, small files share a part.

    Raises:
        InputError: if the index of a multistream dump does not fit it.
    """
    limit = int(recipe.part_mb * 1e6)
    sources = {source.name: source for source in recipe.sources}
    groups: list[tuple[str, list[tuple[InputFile, Piece]]]] = []
    filled = limit
    for file in files:
        source = sources[file.source]
        weight = file.size * (_COMPRESSION_RATIO if is_compressed(file.path) else 1)
        pieces = cut_file(source, storage.join(source_root(source), file.path), file.path, file.size, limit)
        if len(pieces) > 1:
            groups += [(file.source, [(file, piece)]) for piece in pieces]
            filled = limit
            continue
        if not groups or groups[-1][0] != file.source or filled + weight > limit:
            groups.append((file.source, []))
            filled = 0
        groups[-1][1].append((file, pieces[0]))
        filled += weight
    return [
        Part(
            first + index,
            source,
            tuple(piece for _, piece in members),
            _mark(members),
        )
        for index, (source, members) in enumerate(groups)
    ]


def make_plan(recipe: Recipe, workspace: str, *, write: bool = True) -> Plan:
    """Plan a workspace, or extend its plan by the files that are new.

    Raises:
        InputError: if a planned file has changed or vanished, or a planned source left the recipe.
    """
    path = storage.join(workspace, PLAN_FILE)
    saved = (
        json.loads(storage.read_bytes(path)) if storage.exists(path) else {"files": [], "parts": [], "generations": 0}
    )
    known = _files_from_json(saved)
    inputs = list_inputs(recipe)
    _check_unchanged(known, inputs, recipe, workspace)
    new = [file for file in inputs if (file.source, file.path) not in known]
    parts = [_part_from_json(part) for part in saved["parts"]]
    parts += cut_parts(new, recipe, len(parts))
    if new and write:
        _write_plan(path, saved["generations"] + 1, (*known.values(), *new), parts)
    return _plan(recipe, parts, inputs)


def repair_plan(recipe: Recipe, workspace: str, numbers: Collection[int], *, write: bool = True) -> Plan:
    """Take up files that were repaired since they were planned; all parts keep their numbers.

    A repaired file is cut anew over the parts that held it: if it has more pieces now, the last part takes the rest.

    Args:
        recipe: the recipe of the workspace.
        workspace: the workspace.
        numbers: parts that hold dead letters; other parts' files must be as they were.
        write: save the plan.

    Raises:
        InputError: if there is no plan, or if another file has changed or any has vanished.
    """
    path = storage.join(workspace, PLAN_FILE)
    saved = json.loads(storage.read_bytes(path))
    parts = [_part_from_json(part) for part in saved["parts"]]
    known = _files_from_json(saved)
    now = {(file.source, file.path): file for file in list_inputs(recipe)}
    may_change = {(p.source, piece.path) for p in parts if p.number in numbers for piece in p.pieces}
    held = {key: file for key, file in known.items() if key not in may_change or key not in now}
    _check_unchanged(held, now.values(), recipe, workspace)
    changed = [key for key, file in known.items() if now[key] != file]
    for key in changed:
        parts = _cut_anew(now[key], parts, recipe, now)
    files = [now[key] for key in known]
    if changed and write:
        _write_plan(path, saved["generations"], files, parts)
    return _plan(recipe, parts, files)


def _cut_anew(
    file: InputFile, parts: list[Part], recipe: Recipe, files: Mapping[tuple[str, str], InputFile]
) -> list[Part]:
    """Deal the pieces of a repaired file to the parts that held it, in their order."""
    source = recipe.source(file.source)
    full = storage.join(source_root(source), file.path)
    pieces = cut_file(source, full, file.path, file.size, int(recipe.part_mb * 1e6))
    holders = [p for p in parts if p.source == file.source and any(piece.path == file.path for piece in p.pieces)]
    anew: dict[int, Part] = {}
    for index, part in enumerate(holders):
        own = pieces[index:] if part is holders[-1] else pieces[index : index + 1]
        first = next(place for place, piece in enumerate(part.pieces) if piece.path == file.path)
        others = [piece for piece in part.pieces if piece.path != file.path]
        cut = (*others[:first], *own, *others[first:])
        mark = _mark((files[part.source, piece.path], piece) for piece in cut)
        anew[part.number] = replace(part, pieces=cut, mark=mark)
    return [anew.get(part.number, part) for part in parts]


def _mark(members: Iterable[tuple[InputFile, Piece]]) -> str:
    """Hash what a part reads."""
    return ids.fingerprint([[f.path, f.size, f.mark, p.start, p.end] for f, p in members])


def _write_plan(path: str, generations: int, files: Iterable[InputFile], parts: Iterable[Part]) -> None:
    body = {
        "generations": generations,
        "files": [asdict(file) for file in files],
        "parts": [asdict(part) for part in parts],
    }
    storage.write_bytes(path, json.dumps(body, indent=1).encode())


def _files_from_json(saved: dict) -> dict[tuple[str, str], InputFile]:
    return {(f["source"], f["path"]): InputFile(**f) for f in saved["files"]}


def load_plan(recipe: Recipe, workspace: str) -> Plan:
    """Read the plan of a workspace without looking at the inputs.

    Raises:
        InputError: if there is no plan.
    """
    path = storage.join(workspace, PLAN_FILE)
    if not storage.exists(path):
        raise InputError(
            message(workspace, "not a workspace", "no plan/plan.json", "a folder made by `mixtrace curate`")
        )
    saved = json.loads(storage.read_bytes(path))
    return _plan(recipe, [_part_from_json(part) for part in saved["parts"]], [InputFile(**f) for f in saved["files"]])


def _plan(recipe: Recipe, parts: list[Part], files: Iterable[InputFile]) -> Plan:
    """Make the plan; how a source is read enters the marks of its own parts only, so a new source redoes nothing."""
    roots = {source.name: source_root(source) for source in recipe.sources}
    reading = {s.name: s.model_dump(mode="json", include=_READING) for s in recipe.sources}
    marked = (replace(part, mark=ids.fingerprint(part.mark, reading[part.source])) for part in parts)
    return Plan(tuple(marked), roots, sum(file.size for file in files))


def _part_from_json(data: dict) -> Part:
    return Part(data["number"], data["source"], tuple(Piece(**piece) for piece in data["pieces"]), data["mark"])


def _check_unchanged(
    known: Mapping[tuple[str, str], InputFile], inputs: Iterable[InputFile], recipe: Recipe, workspace: str
) -> None:
    now = {(file.source, file.path): file for file in inputs}
    names = {source.name for source in recipe.sources}
    for key, file in known.items():
        where = f"{workspace}: source {file.source!r}"
        hint = "Use another workspace (--out) for another corpus."
        if file.source not in names:
            raise InputError(
                message(
                    where,
                    "workspace of another recipe",
                    "no such source in the recipe",
                    f"sources {sorted(names)}",
                    hint,
                )
            )
        if key not in now:
            raise InputError(message(where, "planned file is gone", file.path, "all planned files", hint))
        if now[key] != file:
            got = f"{file.path} with {now[key].size} bytes, mark {now[key].mark}"
            raise InputError(
                message(where, "planned file has changed", got, f"{file.size} bytes, mark {file.mark}", hint)
            )
