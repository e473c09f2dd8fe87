"""Quality statistics against a slow, obvious restatement of datatrove's functions."""

from __future__ import annotations

import random
import re
import sysconfig
from collections import Counter
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.schemas import QUALITY_SIGNALS
from pipelines.kernels import quality
from pipelines.kernels.punctuation import PUNCTUATION, TERMINAL
from pipelines.kernels.quality import COLUMNS, quality_statistics, quality_statistics_of_words
from pipelines.kernels.unicode_tables import marks
from pipelines.ops.signals import quality_signals

TERMINATORS = tuple(TERMINAL)


def find_duplicates(elements: list[str]) -> tuple[int, int]:
    seen, count, chars = set(), 0, 0
    for element in elements:
        if element in seen:
            count, chars = count + 1, chars + len(element)
        seen.add(element)
    return count, chars


def top_ngram(words: list[str], n: int) -> int:
    grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def dup_ngram(words: list[str], n: int) -> int:
    seen, total, i = set(), 0, 0
    while i < len(words) - n + 1:
        gram = "".join(words[i : i + n])
        if gram in seen:
            total, i = total + len(gram), i + n
        else:
            seen.add(gram)
            i += 1
    return total


def reference(text: str, words: list[str]) -> dict[str, int]:
    paragraphs, runs = re.split(r"\n{2,}", text.strip()), re.split(r"\n+", text)
    lines = text.splitlines()
    full = [line for line in text.split("\n") if line.strip()]
    plain = [word for word in words if any(c not in PUNCTUATION for c in word)]
    found = {
        "chars": len(text), "newlines": text.count("\n"), "hashes": text.count("#"),
        "ellipses": len(re.findall(r"\.\.\.|…", text)),
        "paragraphs": len(paragraphs), "line_runs": len(runs),
        "lines": len(lines),
        "bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in lines),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
        "full_lines": len(full), "terminal_lines": sum(line.endswith(TERMINATORS) for line in full),
        "short_lines": sum(len(line) <= 30 for line in full), "dup_full_line_chars": find_duplicates(full)[1],
        "words": len(words), "non_symbol_words": len(plain), "non_symbol_chars": sum(map(len, plain)),
        "alpha_words": sum(any(c.isalpha() for c in word) for word in words),
        "stop_words": len(set(quality.STOP_WORDS) & set(words)),
    }  # fmt: skip
    found["dup_paragraphs"], found["dup_paragraph_chars"] = find_duplicates(paragraphs)
    found["dup_line_runs"], found["dup_line_run_chars"] = find_duplicates(runs)
    found |= {f"top_{n}gram_chars": top_ngram(words, n) for n in range(2, 5)}
    found |= {f"dup_{n}gram_chars": dup_ngram(words, n) for n in range(5, 11)}
    return found


WORD_PATTERN = re.compile(rf"\w(?:[\w{marks()}]|[.'@&](?=\w))*|([^\w\s])\1*")


def split_words(text: str) -> list[str]:
    """The rule of the kernel, as a regular expression."""
    return [match.group() for match in WORD_PATTERN.finditer(text)]


def documents() -> list[str]:
    """Make documents with repeated words, lines and paragraphs in several scripts, and real Python code."""
    rng = random.Random(1)
    vocabularies = [["the", "be", "to", "of", "and", "that", "have", "with", "cat", "dog", "sat", "mat", "it's", "e.g.", "a@b.c", "...", "--", "x_y"],
                    ["и", "в", "не", "на", "я", "быть", "он", "с", "что", "а"], ["的", "一", "是", "了", "我", "不", "人", "在", "他", "有"],
                    ["في", "من", "على", "أن", "إلى", "عن", "هذا"], ["•", "-", "#", "…", "x" * 40, "é", "ﬁ", "１"]]  # fmt: skip
    made = []
    for _ in range(400):
        words = rng.choice(vocabularies)
        joins = rng.choices(
            [" ", "\n", "\n\n", ".\n", "...\n", "\n- ", " \n", "\u3000", "\t"], [12, 2, 1, 2, 1, 1, 1, 1, 1], k=200
        )
        size = rng.randint(0, 200)
        made.append("".join(rng.choice(words[: rng.randint(1, len(words))]) + joins[i] for i in range(size)))
    modules = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:40]
    made += [path.read_text("utf-8", "replace")[:4000] for path in modules]
    return [*made, "", "\n", "\n\n", " ", "a", "a\n\n\na", "\n a \n\n a \n"]


def compare(texts: list[str]) -> None:
    found = quality_statistics(pa.array(texts, pa.large_string())).to_pylist()
    for text, row in zip(texts, found, strict=True):
        assert row == {name: reference(text, split_words(text))[name] for name in COLUMNS}, repr(text[:200])


def test_all_columns_equal_the_restated_formulas() -> None:
    compare(documents())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet="ab .-…#\u0302\u0947क\u200c\n•'é中\u2028\x85\r\x0b\t!", max_size=80), max_size=4))
def test_any_text_equals_the_restated_formulas(texts: list[str]) -> None:
    compare(texts)


def test_words_of_another_splitter_are_taken_as_they_are() -> None:
    texts = documents()[:120]
    words = [text.split() for text in texts]
    found = quality_statistics_of_words(pa.array(texts), pa.array(words, pa.list_(pa.string()))).to_pylist()
    for text, given_words, row in zip(texts, words, found, strict=True):
        assert row == {name: reference(text, given_words)[name] for name in COLUMNS}


def test_the_batch_does_not_matter_and_long_documents_stay_linear() -> None:
    texts = documents()
    long = " ".join(f"w{i % 9000}" for i in range(400_000))
    whole = quality_statistics(pa.array([*texts[:50], long, *texts[50:]]))
    single = pa.concat_tables([pa.Table.from_batches([quality_statistics(pa.array([text]))]) for text in texts])
    assert whole.to_pylist()[:50] + whole.to_pylist()[51:] == single.to_pylist()
    assert whole.column("words")[50].as_py() == 400_000


def test_signals_are_finite_and_in_the_order_of_the_schema() -> None:
    signals = quality_signals(pa.array(["", "One line of prose.\nOne line of prose.\n", "- a\n- b"]))
    assert len(signals) == len(QUALITY_SIGNALS)
    by_name = dict(zip(QUALITY_SIGNALS, (s.to_pylist() for s in signals), strict=True))
    assert by_name["gopher_words"] == [0, 8, 2]
    assert by_name["gopher_dup_line_frac"][1] == 1 / 3  # two equal lines and the empty run at the end
    assert by_name["gopher_bullet_line_frac"] == [0, 0, 1]
    assert all(value == value for column in by_name.values() for value in column)
