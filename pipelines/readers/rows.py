"""From named values to a record: what JSONL, CSV, Parquet and Arrow have in common."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.readers.records import RAW_BYTES, BadRecord, Item, ReadOptions, Record, too_large

MISSING = object()
_TYPE_NAMES = {
    str: "string",
    bytes: "bytes",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


def type_name(value: object) -> str:
    """Name the type of a value as JSON does."""
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def row_item(value: Mapping[str, object], offset: int, length: int, raw: bytes, options: ReadOptions) -> Item:
    """Make the item of one row.

    Args:
        value: the row: values by name, perhaps nested.
        offset: where it lies.
        length: its bytes.
        raw: these bytes, for a dead letter.
        options: which fields hold what.
    """

    def bad(error: str, text: str) -> BadRecord:
        return BadRecord(offset, length, error, text, raw[:RAW_BYTES])

    fields = options.fields
    text = look_up(value, fields.text)
    if text is MISSING:
        return bad("missing_field", f"no field {fields.text!r}: got fields {names(value)}; expected {fields.text!r}")
    if not isinstance(text, str | bytes):
        return bad("wrong_type", f"field {fields.text!r} is no text: got {type_name(text)}; expected string")
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text  # a dead letter at extraction
    if len(content) > options.max_record_bytes:
        return too_large(offset, length, options.max_record_bytes, content)
    optional: list[str | None] = []
    for name in (fields.id, fields.url, fields.date):
        found = MISSING if name is None else look_up(value, name)
        if found is MISSING or found is None:
            optional.append(None)
        elif isinstance(found, dict | list | bytes | bool):
            expected = "string, number or null"
            return bad("wrong_type", f"field {name!r} is no scalar: got {type_name(found)}; expected {expected}")
        else:
            optional.append(str(found))
    charset = "utf-8" if isinstance(text, str) else options.encoding
    return Record(offset, length, content, fields.content, *optional, charset)


def look_up(value: Mapping[str, object], path: str) -> object:
    """Find a field; a dotted path reaches into objects, a key that itself has dots is found first."""
    if path in value:
        return value[path]
    current: object = value
    for name in path.split("."):
        if not isinstance(current, Mapping) or name not in current:
            return MISSING
        current = current[name]
    return current


def names(value: Mapping[str, object]) -> str:
    """List the first ten names of a row, for a message."""
    listed = ", ".join(repr(name[:40]) for name in list(value)[:10])
    return listed + (" …" if len(value) > 10 else "") if listed else "none"
