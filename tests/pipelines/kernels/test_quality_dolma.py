"""Dolma's Gopher statistics against a slow, obvious restatement."""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.quality import STOP_WORDS
from pipelines.kernels.quality_dolma import COLUMNS, dolma_statistics


def reference(text: str) -> dict[str, int]:
    if not text:
        return dict.fromkeys(COLUMNS, 0)
    words, lines = text.split(), text.split("\n")
    lengths = [len(word) for word in words]
    repeated = {line: count for line, count in Counter(lines).items() if count > 1}
    found = {
        "chars": len(text), "words": len(words), "word_chars": sum(lengths),
        "twice_median_word_chars": int(2 * statistics.median(lengths)) if words else 0,
        "symbol_words": sum("#" in word or "…" in word for word in words),
        "alpha_words": sum(any(c.isalpha() for c in word) for word in words),
        "stop_words": sum(word in STOP_WORDS for word in words),
        "lines": len(lines), "bullet_lines": sum(line.startswith(("*", "-")) for line in lines),
        "ellipsis_lines": sum(line.endswith("…") for line in lines),
        "dup_lines": sum(repeated.values()),
        "dup_line_chars": sum(len(line) * count for line, count in repeated.items()),
    }  # fmt: skip
    for n in range(2, 11):
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        chars = {gram: count * sum(map(len, gram)) for gram, count in grams.items()}
        if n < 5:
            found[f"top_{n}gram_chars"] = chars[grams.most_common(1)[0][0]] if grams else 0
        else:
            found[f"dup_{n}gram_chars"] = sum(chars[gram] for gram, count in grams.items() if count > 1)
            found[f"all_{n}gram_chars"] = sum(chars.values())
    return found


def compare(texts: list[str]) -> None:
    rows = dolma_statistics(pa.array(texts, pa.large_string())).to_pylist()
    for text, row in zip(texts, rows, strict=True):
        expected = reference(text)
        assert row == {name: expected[name] for name in COLUMNS}, repr(text[:200])


def test_all_columns_equal_the_restated_formulas() -> None:
    rng = random.Random(2)
    vocabulary = ["the", "and", "cat", "#x", "…", "a…", "12", "été", "中文", "*", "-", "with", "x" * 30]
    joins = [" ", " ", " ", "\n", "\n* ", "\n- ", "…\n", "\u3000", "\n\n"]
    texts = []
    for _ in range(300):
        words = rng.sample(vocabulary, rng.randint(1, len(vocabulary)))
        texts.append("".join(rng.choice(words) + rng.choice(joins) for _ in range(rng.randint(0, 120))))
    compare([*texts, "", " ", "\n", "one", "a b c d " * 5000])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="ab …#\n*-é中\u2028\t", max_size=80), max_size=4))
def test_any_text_equals_the_restated_formulas(texts: list[str]) -> None:
    compare(texts)
