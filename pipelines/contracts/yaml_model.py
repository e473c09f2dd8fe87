"""YAML 1.2 files into frozen pydantic models, with errors that name file, line and column.

PyYAML is YAML 1.1 (`no` becomes False, `1e-4` a string, duplicate keys vanish), so ruamel.yaml reads.
"""

from __future__ import annotations

import os
import re
from typing import Any, TypeVar

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, did_you_mean, message

Model = TypeVar("Model", bound="StrictModel")


class StrictModel(pydantic.BaseModel):
    """Base of all configuration: frozen, and unknown keys are errors."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


def load_yaml_model(path: str, model: type[Model], base_key: str | None = None) -> Model:
    """Read a YAML file into a model.

    Args:
        path: the file.
        model: what it describes.
        base_key: key under which the file may name another one (relative to its own folder), whose top-level keys
            hold where it has none of its own.

    Raises:
        ConfigError: for a missing file, broken YAML, an unknown key (with a suggestion), a wrong type or
            value, a circle of bases; every fault in the file is listed, each with `file:line:column`.
    """
    tree = _read_tree(path, model)
    base = _plain(_with_base(tree, path, model, base_key, (path,))) if base_key else _plain(tree)
    return _validate(base, tree, path, model)


def _with_base(tree: Any, path: str, model: type[Model], base_key: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """Return the keys of a file and of those that it is based on."""
    if base_key not in tree:
        return tree
    base = os.path.join(os.path.dirname(path), str(tree[base_key]))
    if base in seen:
        raise ConfigError(message(f"{path} {base_key}", "a circle", " -> ".join((*seen, base)), "a file that ends it"))
    below = _with_base(_read_tree(base, model), base, model, base_key, (*seen, base))
    return {key: value for key, value in {**below, **tree}.items() if key != base_key}


def _read_tree(path: str, model: type[StrictModel]) -> Any:
    if not storage.exists(path):
        raise ConfigError(message(path, "no such file", "nothing", f"a YAML file for {model.__name__}"))
    data = storage.read_bytes(path)
    try:
        tree = YAML(typ="rt").load(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(message(path, "not UTF-8", f"byte {error.start}", "UTF-8 text")) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise ConfigError(message(where, "broken YAML", _first_line(error.problem), "YAML 1.2")) from error
    if not isinstance(tree, dict):
        raise ConfigError(message(path, "not a mapping", type(tree).__name__, "`key: value` lines at the top level"))
    return tree


def _validate(values: dict[str, Any], tree: Any, path: str, model: type[Model]) -> Model:
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        lines = [_describe(path, tree, model, fault) for fault in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def _plain(node: Any) -> Any:
    """Turn ruamel's containers and scalars into plain Python ones."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _first_line(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "a syntax error").strip()


def _describe(path: str, tree: Any, model: type[StrictModel], fault: Any) -> str:
    location = [part for part in fault["loc"] if not _is_union_tag(part)]
    line, column, depth = _position(tree, location)
    name = ".".join(str(part) for part in location[:depth]) or "(top level)"
    where = f"{path}:{line}:{column} {name}"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        return message(
            where, "unknown key", repr(str(location[-1])), "a known key", did_you_mean(str(location[-1]), known)
        )
    if fault["type"] == "missing":
        return message(f"{path}:{line}:{column} {'.'.join(map(str, location))}", "missing key", "nothing", "a value")
    return message(where, "wrong value", repr(fault["input"])[:120], _expected(fault["msg"]))


def _expected(text: str) -> str:
    text = re.sub(r"^(Input should be |Value error, )", "", text)
    return text[0].lower() + text[1:] if text else "another value"


def _is_union_tag(part: object) -> bool:
    return isinstance(part, str) and (part[:1].isupper() or "[" in part)


def _position(tree: Any, location: list[Any]) -> tuple[int, int, int]:
    """Find line and column (from 1) of the deepest part of a location that is in the file."""
    line, column, node, depth = 1, 1, tree, 0
    for part in location:
        mark = getattr(node, "lc", None)
        try:
            if isinstance(node, dict) and part in node:
                at = mark.key(part)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                at = mark.item(part)
            else:
                break
        except (AttributeError, KeyError):
            break
        line, column, node, depth = at[0] + 1, at[1] + 1, node[part], depth + 1
    return line, column, max(depth, 1)


def _known_keys(model: type[StrictModel], location: list[Any]) -> list[str]:
    """List the keys that are allowed at a location of a model."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            break
        current = _inner_model(fields[part].annotation) or current
    return list(getattr(current, "model_fields", {}))


def _inner_model(annotation: Any) -> Any:
    """Return the first pydantic model inside an annotation such as tuple[Source, ...] or X | None."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _inner_model(inner)
        if found is not None:
            return found
    return None
