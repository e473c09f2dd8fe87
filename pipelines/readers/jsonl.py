r"""JSON lines: one object per line, split on "\n" only (texts may contain U+2028, U+0085 and other line ends)."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, ReadOptions, Record, too_large
from pipelines.readers.stream import ByteReader, broken_by

_MISSING = object()
_TYPE_NAMES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    r"""Read the lines that start in [options.start, options.end).

    A UTF-8 byte order mark before the first line and a carriage return before "\n" are tolerated. The last
    line needs no line end.
    """
    if options.start:
        stream.drop_until(b"\n")
    while options.end is None or stream.position < options.end:
        if stream.at_end():
            offset = stream.position
            fault = stream.next_segment()
            if fault is None:
                return
            yield broken_by(fault, offset, 0, b"")
            continue
        offset = stream.position
        taken = stream.until(b"\n", options.max_record_bytes)
        fault = None if taken.found else stream.next_segment()
        if fault is not None:
            yield broken_by(fault, offset, taken.length, taken.content)
        elif not taken.whole:
            yield too_large(offset, taken.length, options.max_record_bytes, taken.content)
        else:
            yield _parse(offset, taken.content, options)


def _parse(offset: int, line: bytes, options: ReadOptions) -> Item:
    """Parse one line, its line end included."""
    body = line.strip(b" \t\r\n")
    if offset == 0:
        body = body.removeprefix(b"\xef\xbb\xbf")
    if not body:
        return NonDocument(offset, len(line), "blank")

    def bad(error: str, text: str) -> BadRecord:
        return BadRecord(offset, len(line), error, text, line[:RAW_BYTES])

    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return bad(*_explain(body, error))
    if not isinstance(value, dict):
        return bad("not_an_object", f"line is not an object: got {_TYPE_NAMES[type(value)]}; expected object")
    fields = options.fields
    text = _look_up(value, fields.text)
    if text is _MISSING:
        return bad("missing_field", f"no field {fields.text!r}: got fields {_names(value)}; expected {fields.text!r}")
    if not isinstance(text, str):
        return bad("wrong_type", f"field {fields.text!r} is no text: got {_TYPE_NAMES[type(text)]}; expected string")
    optional: list[str | None] = []
    for name in (fields.id, fields.url, fields.date):
        found = None if name is None else _look_up(value, name)
        if found is None or found is _MISSING:
            optional.append(None)
        elif isinstance(found, str | int | float) and not isinstance(found, bool):
            optional.append(str(found))
        else:
            expected = "string, number or null"
            return bad(
                "wrong_type",
                f"field {name!r} is no scalar: got {_TYPE_NAMES[type(found)]}; expected {expected}",
            )
    return Record(offset, len(line), text.encode(), "text", *optional, "utf-8")


def _explain(body: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    try:
        body.decode()
    except UnicodeDecodeError as fault:
        got = f"byte 0x{body[fault.start]:02x} at byte {fault.start} of the line"
        return "invalid_utf8", f"line is not UTF-8: got {got}; expected UTF-8"
    return "invalid_json", f"line is not JSON: got {error}; expected one object per line"


def _look_up(value: dict, path: str) -> object:
    """Find a field; a dotted path reaches into objects, a key that itself has dots is found first."""
    if path in value:
        return value[path]
    current: object = value
    for name in path.split("."):
        if not isinstance(current, dict) or name not in current:
            return _MISSING
        current = current[name]
    return current


def _names(value: dict) -> str:
    names = ", ".join(repr(name[:40]) for name in list(value)[:10])
    return names + (" …" if len(value) > 10 else "") if names else "none"
