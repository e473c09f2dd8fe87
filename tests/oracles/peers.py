"""The peers' own functions over given documents; runs in the peers' environment, not in ours.

measure   words of spaCy and NLTK; every statistic that a peer's function returns; verdicts of its filters
probe     is a value of ours equal to the one inside a filter? The filter itself says so: with the limit at
          our value it must let the document pass, with the next number below (or above) it must not
"""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
import types
import unicodedata
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import loguru

loguru.logger.remove()
import datatrove.pipeline.filters.c4_filters as c4  # noqa: E402
import datatrove.pipeline.filters.fineweb_quality_filter as fineweb  # noqa: E402
import datatrove.pipeline.filters.gopher_quality_filter as quality  # noqa: E402
import datatrove.pipeline.filters.gopher_repetition_filter as repetition  # noqa: E402
from datatrove.data import Document  # noqa: E402
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_sentences  # noqa: E402
from datatrove.utils.word_tokenizers import load_word_tokenizer  # noqa: E402
from nltk.tokenize.destructive import NLTKWordTokenizer  # noqa: E402
from spacy.pipeline import Sentencizer  # noqa: E402

MARKS = "\u200c\u200d" + "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M")
WORD = re.compile(rf"\w(?:[\w{MARKS}]|[.'@&](?=\w))*|([^\w\s])\1*")
PARAGRAPH, LINE = re.compile(r"\n{2,}"), re.compile("\n+")
SENTENCE_ENDS = set(Sentencizer.default_punct_chars)
WORDS: dict[str, list[str]] = {}
TINY = 5e-324


def module_of(package: str, name: str, stubs: dict[str, Any] | None = None) -> Any:
    """Load one module of an installed package without running the package's own imports."""
    root = Path(next(p for p in sys.path if (Path(p) / package).is_dir())) / package
    parts = f"{package}.{name}".split(".")[:-1]
    for depth in range(len(parts)):
        made = types.ModuleType(".".join(parts[: depth + 1]))
        made.__path__ = [str(root.joinpath(*parts[1 : depth + 1]))]
        sys.modules[made.__name__] = made
    for stub, attributes in (stubs or {}).items():
        sys.modules[stub] = types.ModuleType(stub)
        sys.modules[stub].__path__ = []
        sys.modules[stub].__dict__.update(attributes)
    return importlib.import_module(f"{package}.{name}")


def load_dolma() -> Any:
    """Load dolma's Gopher tagger."""
    root = Path(next(p for p in sys.path if (Path(p) / "dolma").is_dir())) / "dolma"
    core = types.ModuleType("dolma.core")
    core.__path__ = [str(root / "core")]
    sys.modules["dolma.core"] = core
    return module_of("dolma", "taggers.gopher")


def load_tfds() -> Any:
    """Load the code that made C4; what it imports beside is not used by `clean_page`."""
    api = types.SimpleNamespace(core=None)
    stubs = {
        "absl": {"logging": None},
        "tensorflow_datasets.core": {},
        "tensorflow_datasets.core.utils": {},
        "tensorflow_datasets.core.utils.lazy_imports_utils": {"tensorflow": None},
        "tensorflow_datasets.public_api": vars(api),
    }
    found = module_of("tensorflow_datasets", "text.c4_utils", stubs)
    found._get_sentences = our_sentences
    return found


def our_sentences(line: str, language: str = "") -> list[None]:
    """spaCy's sentencizer over our words, restated; as many elements as sentences."""
    count, ended = 1, False
    for match in WORD.finditer(line):
        word = match.group()
        is_end = word[0] in SENTENCE_ENDS and (len(word) == 1 or word[0] != ".")
        if ended and not is_end and not all(unicodedata.category(c).startswith("P") for c in word):
            count, ended = count + 1, False
        elif is_end:
            ended = True
    return [None] * count


def given_words(text: str, language: str = "") -> list[str]:
    """Take the place of datatrove's split_into_words."""
    return WORDS[text]


for module in (quality, repetition, fineweb):
    module.split_into_words = given_words


def verdict(block: Any, text: str) -> str:
    """Return the reason for which a filter drops a text, or "" if it keeps it."""
    result = block.filter(Document(text=text, id="0"))
    return "" if result is True else result[1] if isinstance(result, tuple) else "dropped"


def repetition_values(text: str, words: list[str]) -> dict[str, float]:
    """Return the fractions that GopherRepetitionFilter compares, by its own functions."""
    paragraphs, lines = PARAGRAPH.split(text.strip()), LINE.split(text)
    counted, chars = repetition.find_duplicates(paragraphs)
    values = {
        "gopher_dup_paragraph_frac": counted / len(paragraphs),
        "gopher_dup_paragraph_char_frac": chars / len(text),
    }
    counted, chars = repetition.find_duplicates(lines)
    values |= {"gopher_dup_line_frac": counted / len(lines), "gopher_dup_line_char_frac": chars / len(text)}
    for n in range(2, 5):
        grams = repetition.get_n_grams(words, n)
        values[f"gopher_top_{n}gram_char_frac"] = repetition.find_top_duplicate(grams) / len(text) if grams else 0.0
    for n in range(5, 11):
        values[f"gopher_dup_{n}gram_char_frac"] = repetition.find_all_duplicate(words, n) / len(text)
    return values


def dolma_values(tagger: Any, text: str) -> dict[str, float]:
    """Return the attributes of Dolma's tagger under our names."""
    found = asdict(tagger.get_attributes(text))
    tops = dict(found.pop("fraction_of_characters_in_most_common_ngram"))
    dups = dict(found.pop("fraction_of_characters_in_duplicate_ngrams"))
    names = {
        "word_count": "words", "median_word_length": "median_word_length", "symbol_to_word_ratio": "symbol_word_frac",
        "fraction_of_words_with_alpha_character": "alpha_word_frac", "required_word_count": "stop_words",
        "fraction_of_lines_starting_with_bullet_point": "bullet_line_frac",
        "fraction_of_lines_ending_with_ellipsis": "ellipsis_line_frac", "fraction_of_duplicate_lines": "dup_line_frac",
        "fraction_of_characters_in_duplicate_lines": "dup_line_char_frac",
    }  # fmt: skip
    values = {f"dolma_{ours}": float(found[theirs]) for theirs, ours in names.items()}
    values |= {f"dolma_top_{n}gram_char_frac": tops.get(n, 0.0) for n in range(2, 5)}
    return values | {f"dolma_dup_{n}gram_char_frac": dups.get(n, 0.0) for n in range(5, 11)}


C4_COUNTS = {
    "lines": ("line-total", ""),
    "long_word_lines": ("line-filter-too_long_word", "line-filtered:too_long_word"),
    "open_lines": ("line-filter-no_terminal_punc", "line-filtered:no_endmark"),
    "few_words_lines": ("line-filter-too_few_words", "line-filtered:too_short"),
    "javascript_lines": ("line-filter-javascript", "line-filtered:javascript"),
    "policy_lines": ("line-filter-policy", "line-filtered:policy"),
    "kept_lines": ("line-kept", "line-passed"),
}


def c4_datatrove_values(text: str, split: Any) -> dict[str, Any]:
    """Run datatrove's C4 filter with a splitter of sentences; counts, reason, sentences."""
    c4.split_into_sentences = split
    counts: Counter[str] = Counter()
    block = c4.C4QualityFilter()
    block.stat_update = lambda *names, **_: counts.update(names)
    document = Document(text=text, id="0")
    result = block.filter(document)
    reason = "" if result is True else result[1]
    found = {ours: counts[names[0]] for ours, names in C4_COUNTS.items()}
    return {**found, "reason": reason, "text_chars": len(document.text)}


def c4_tfds_values(module: Any, text: str) -> dict[str, Any]:
    """Run `clean_page`; counts and reason."""
    counts: Counter[str] = Counter()
    kept = list(
        module.get_clean_page_fn()(module.PageFeatures(text=text), counter_inc_fn=lambda name: counts.update([name]))
    )
    reasons = [name.removeprefix("filtered:") for name in counts if name.startswith("filtered:")]
    found = {ours: counts[names[1]] for ours, names in C4_COUNTS.items() if names[1]}
    return {**found, "reason": reasons[0] if reasons else "", "text_chars": len(kept[0].text) if kept else 0}


def measure(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer for every row with a text."""
    tagger, tfds, spacy_words, nltk_words = load_dolma(), load_tfds(), load_word_tokenizer("eng"), NLTKWordTokenizer()
    answers = []
    for row in rows:
        text = row["text"]
        spacy = spacy_words.word_tokenize(text)
        nltk = [word for line in text.splitlines() for word in nltk_words.tokenize(line)]
        answer: dict[str, Any] = {"spacy": spacy, "nltk": nltk}
        for name, words in (("spacy", spacy), ("nltk", nltk)):
            WORDS[text] = words
            blocks = {
                "repetition": repetition.GopherRepetitionFilter(),
                "quality": quality.GopherQualityFilter(),
                "fineweb": fineweb.FineWebQualityFilter(),
            }
            answer[f"verdicts_{name}"] = {
                key: verdict(block, text) if words else "no words" for key, block in blocks.items()
            }
        answer["repetition"] = repetition_values(text, spacy)
        answer["dolma"] = dolma_values(tagger, text)
        answer["c4_datatrove"] = c4_datatrove_values(text, our_sentences)
        answer["c4_datatrove_spacy"] = c4_datatrove_values(text, split_into_sentences)["reason"]
        answer["c4_tfds"] = c4_tfds_values(tfds, text)
        answers.append(answer)
    return answers


QUALITY_OFF = dict.fromkeys(
    (
        "min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length", "max_symbol_word_ratio",
        "max_bullet_lines_ratio", "max_ellipsis_lines_ratio", "max_non_alpha_words_ratio", "min_stop_words",
    )
)  # fmt: skip
FINEWEB_OFF = {"line_punct_thr": -1.0, "short_line_thr": 9.0, "char_duplicates_ratio": 9.0, "new_line_ratio": math.inf}
# signal: (filter, its limit, is it a least value, the filter's reasons for this limit)
PROBES = {
    "gopher_words": ("quality", "max_doc_words", False, "gopher_long_doc"),
    "gopher_mean_word_length": ("quality", "max_avg_word_length", False, "gopher_above_avg_threshold"),
    "gopher_hash_ratio": ("quality", "max_symbol_word_ratio", False, "gopher_too_many_hashes"),
    "gopher_ellipsis_ratio": ("quality", "max_symbol_word_ratio", False, "gopher_too_many_ellipsis"),
    "gopher_bullet_line_frac": ("quality", "max_bullet_lines_ratio", False, "gopher_too_many_bullets"),
    "gopher_ellipsis_line_frac": ("quality", "max_ellipsis_lines_ratio", False, "gopher_too_many_end_ellipsis"),
    "gopher_alpha_word_frac": ("quality", "max_non_alpha_words_ratio", True, "gopher_below_alpha_threshold"),
    "gopher_stop_words": ("quality", "min_stop_words", True, "gopher_enough_stop_words"),
    "fineweb_terminal_line_frac": ("fineweb", "line_punct_thr", True, "line_punct_ratio"),
    "fineweb_short_line_frac": ("fineweb", "short_line_thr", False, "short_line_ratio"),
    "fineweb_dup_line_char_frac": ("fineweb", "char_duplicates_ratio", False, "char_dup_ratio"),
    "fineweb_newlines_per_word": ("fineweb", "new_line_ratio", False, "list_ratio"),
}


def is_equal(signal: str, value: float, text: str) -> bool:
    """Let the filter say whether the value inside of it equals ours, to the last bit."""
    family, limit, least, reason = PROBES[signal]
    if signal in ("gopher_hash_ratio", "gopher_ellipsis_ratio"):
        # both share one limit; the other sign is taken out of the text (the words, which count, stay as they are)
        other = text.replace(".", "").replace("…", "") if signal == "gopher_hash_ratio" else text.replace("#", "")
        WORDS[other] = WORDS[text]
        text = other

    def outcome(bound: float) -> str:
        if family == "quality":
            return verdict(quality.GopherQualityFilter(**{**QUALITY_OFF, limit: bound}), text)
        return verdict(fineweb.FineWebQualityFilter(**{**FINEWEB_OFF, limit: bound}), text)

    if value == 0 and not least:  # no value is below 0, and a limit of 0 switches a rule off: ask with the next number
        return outcome(TINY) == ""
    return outcome(value) == "" and outcome(math.nextafter(value, math.inf if least else -math.inf)) == reason


def probe(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer, for every value of every row, whether the filter finds it equal."""
    answers = []
    for row in rows:
        WORDS.clear()
        WORDS[row["text"]] = row["words"]
        answers.append({signal: is_equal(signal, value, row["text"]) for signal, value in row["values"].items()})
    return answers


def sets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer with the sets of punctuation."""
    named = {"punctuation": PUNCTUATION_SET, "terminal": TERMINAL_PUNCTUATION, "sentence_ends": SENTENCE_ENDS}
    return [{name: sorted(found) for name, found in named.items()}]


if __name__ == "__main__":
    command, asked, answered = sys.argv[1:]
    given = [json.loads(line) for line in Path(asked).read_text("utf-8").splitlines()]
    found = {"measure": measure, "probe": probe, "sets": sets}[command](given)
    Path(answered).write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
