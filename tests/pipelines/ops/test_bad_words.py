"""Bad words: whole words and phrases, per language."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.contracts.errors import ConfigError
from pipelines.ops.bad_words import count_bad_words


def write(path: Path, *entries: str) -> tuple[str, ...]:
    path.write_text("\n".join(entries), "utf-8")
    return (str(path),)


def test_words_phrases_languages_and_scripts(tmp_path: Path) -> None:
    lists = {
        "en": write(tmp_path / "en.txt", "darn", "two girls"),
        "zh": write(tmp_path / "zh.txt", "坏话"),
        "any": write(tmp_path / "any.txt", "zounds"),
    }
    rows = [
        ("Darn! darned darn-it; two  GIRLS, two, girls", "en", 4),
        ("darn two girls zounds", "de", 1),
        ("这是坏话吗?坏 话", "zh", 2),
        ("坏话", "en", 0),
        ("", "en", 0),
        ("nothing", "en", 0),
    ]
    texts, langs, expected = zip(*rows, strict=True)
    found, per_word = count_bad_words(pa.array(texts), pa.array(langs), lists)
    assert found.tolist() == list(expected)
    assert per_word.tolist() == pytest.approx([4 / 8, 1 / 4, 2 / 7, 0, 0, 0])


def test_without_lists_nothing_is_bad() -> None:
    found, per_word = count_bad_words(pa.array(["darn"]), pa.array(["en"]), {})
    assert (found.tolist(), per_word.tolist()) == ([0], [0])


@pytest.mark.parametrize("entry", ["!!!", " ".join(["word"] * 21)])
def test_entries_that_cannot_match_are_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(ConfigError, match="cannot match"):
        count_bad_words(pa.array(["x"]), pa.array(["en"]), {"en": write(tmp_path / "x.txt", entry)})
