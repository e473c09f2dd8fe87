"""UTF-16 as UTF-8, block by block."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.compression import Fault
from pipelines.readers.transcode import to_utf8, utf16_name


def _cut(data: bytes, size: int) -> list[bytes | Fault]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# A little-endian mark and a NUL are the mark of UTF-32, so no text begins with NUL here.
@given(
    st.text(min_size=2).filter(lambda text: text[0] != "\0"),
    st.sampled_from(["utf-16-le", "utf-16-be"]),
    st.integers(4, 9),
)
def test_any_text_in_any_blocks(text: str, name: str, size: int) -> None:
    mark = codecs.BOM_UTF16_LE if name == "utf-16-le" else codecs.BOM_UTF16_BE
    data = mark + text.encode(name)
    assert b"".join(to_utf8(iter(_cut(data, size)))) == ("\ufeff" + text).encode()


@given(st.text(), st.integers(4, 9))
def test_other_files_pass_unchanged(text: str, size: int) -> None:
    data = ("{" + text).encode()
    if utf16_name(data[:4]) is None:
        assert b"".join(to_utf8(iter(_cut(data, size)))) == data


def test_marks() -> None:
    assert utf16_name("<x".encode("utf-16-le")) == "utf-16-le"
    assert utf16_name("<x".encode("utf-16-be")) == "utf-16-be"
    assert utf16_name("x".encode("utf-32")) is None
    assert utf16_name(b"<xml") is None
    assert utf16_name(b"") is None


def test_damage_costs_the_damaged_character() -> None:
    lone = b"\x00\xd8"
    data = codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + lone + "cd".encode("utf-16-le") + b"\x65"
    found = list(to_utf8(iter(_cut(data, 5))))
    text = b"".join(block if isinstance(block, bytes) else b"|" for block in found)
    assert text.decode() == "\ufeffab|cd|"
    faults = [block for block in found if isinstance(block, Fault)]
    assert [fault.length for fault in faults] == [2, 1]
    assert faults[0].error == "damaged_encoding"
    assert "got 1 half characters, the first U+D800" in faults[0].message


def test_a_fault_takes_half_a_character_with_it() -> None:
    blocks = [codecs.BOM_UTF16_LE + b"a\0b", Fault("damaged_compression", "m", 7), b"c\0"]
    assert list(to_utf8(iter(blocks))) == ["\ufeffa".encode(), Fault("damaged_compression", "m", 8), b"c"]


@pytest.mark.parametrize("blocks", [[], [Fault("e", "m", 3)]])
def test_nothing_to_read(blocks: list[bytes | Fault]) -> None:
    assert list(to_utf8(iter(blocks))) == blocks
