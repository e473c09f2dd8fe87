"""Groups of signals: the explicit list of who measures what, and the ratios of the base group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.recipe import Recipe
from pipelines.contracts.schemas import BASE_GROUP, CLASSIFIER, QUALITY_SIGNALS, columns_of
from pipelines.kernels.quality import quality_statistics
from pipelines.kernels.quality_c4 import C4_DATATROVE, C4_TFDS, C4Variant, c4_statistics
from pipelines.kernels.quality_dolma import dolma_statistics
from pipelines.ops.bad_words import count_bad_words
from pipelines.ops.language import paragraph_languages
from pipelines.ops.quality_models import classifier_probability, perplexity_columns
from pipelines.ops.script_words import script_statistics
from pipelines.ops.urls import classify_url, count_url_words, load_url_list, load_url_words

# signal: (numerator, denominator); a denominator of 0 counts as 1
_RATIOS = {
    "gopher_mean_word_length": ("non_symbol_chars", "non_symbol_words"),
    "gopher_hash_ratio": ("hashes", "words"),
    "gopher_ellipsis_ratio": ("ellipses", "words"),
    "gopher_bullet_line_frac": ("bullet_lines", "lines"),
    "gopher_ellipsis_line_frac": ("ellipsis_lines", "lines"),
    "gopher_alpha_word_frac": ("alpha_words", "words"),
    "gopher_dup_line_frac": ("dup_line_runs", "line_runs"),
    "gopher_dup_line_char_frac": ("dup_line_run_chars", "chars"),
    "gopher_dup_paragraph_frac": ("dup_paragraphs", "paragraphs"),
    "gopher_dup_paragraph_char_frac": ("dup_paragraph_chars", "chars"),
    **{f"gopher_top_{n}gram_char_frac": (f"top_{n}gram_chars", "chars") for n in range(2, 5)},
    **{f"gopher_dup_{n}gram_char_frac": (f"dup_{n}gram_chars", "chars") for n in range(5, 11)},
    "fineweb_terminal_line_frac": ("terminal_lines", "full_lines"),
    "fineweb_short_line_frac": ("short_lines", "full_lines"),
    "fineweb_newlines_per_word": ("newlines", "words"),
}
_DOLMA_RATIOS = {
    "dolma_symbol_word_frac": ("symbol_words", "words"),
    "dolma_alpha_word_frac": ("alpha_words", "words"),
    "dolma_bullet_line_frac": ("bullet_lines", "lines"),
    "dolma_ellipsis_line_frac": ("ellipsis_lines", "lines"),
    "dolma_dup_line_frac": ("dup_lines", "lines"),
    "dolma_dup_line_char_frac": ("dup_line_chars", "word_chars"),
    **{f"dolma_top_{n}gram_char_frac": (f"top_{n}gram_chars", "word_chars") for n in range(2, 5)},
    **{f"dolma_dup_{n}gram_char_frac": (f"dup_{n}gram_chars", f"all_{n}gram_chars") for n in range(5, 11)},
}
_SCRIPT_RATIOS = {
    "script_mean_word_length": ("non_symbol_chars", "non_symbol_words"),
    "script_hash_ratio": ("hashes", "words"),
    "script_ellipsis_ratio": ("ellipses", "words"),
    "script_alpha_word_frac": ("alpha_words", "words"),
    "script_newlines_per_word": ("newlines", "words"),
    **{f"script_top_{n}gram_char_frac": (f"top_{n}gram_chars", "chars") for n in range(2, 5)},
    **{f"script_dup_{n}gram_char_frac": (f"dup_{n}gram_chars", "chars") for n in range(5, 11)},
}


def _c4_ratios(name: str) -> dict[str, tuple[str, str]]:
    per_line = {f"c4_{name}_{of}_line_frac": (f"{of}_lines", "lines") for of in ("kept", "open", "few_words")}
    return {**per_line, f"c4_{name}_kept_char_frac": ("kept_chars", "chars")}


def signals_of(statistics: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Compute all quality signals from the integers of the kernel.

    Args:
        statistics: [rows] columns of `pipelines.kernels.quality.COLUMNS`.

    Returns:
        float64 [rows] per signal.
    """
    count = {name: statistics.column(name).to_numpy().astype(np.float64) for name in statistics.schema.names}
    signals = {name: count[top] / np.maximum(count[bottom], 1.0) for name, (top, bottom) in _RATIOS.items()}
    signals["gopher_words"] = count["non_symbol_words"]
    signals["gopher_stop_words"] = count["stop_words"]
    without_newlines = np.maximum(count["chars"] - count["newlines"], 1.0)
    signals["fineweb_dup_line_char_frac"] = count["dup_full_line_chars"] / without_newlines
    return signals


def quality_signals(text: pa.Array) -> list[pa.Array]:
    """Measure the quality of texts.

    Args:
        text: [rows] strings without nulls.

    Returns:
        One float64 [rows] array per signal, in the order of QUALITY_SIGNALS.
    """
    signals = signals_of(quality_statistics(text))
    return [pa.array(signals[name]) for name in QUALITY_SIGNALS]


@dataclass(frozen=True)
class SignalInput:
    """What a group of signals is measured from.

    Attributes:
        text: [rows] cleaned texts, without nulls.
        lang: [rows] tag of the most likely language.
        lang_score: [rows] its probability.
        recipe: the recipe, for groups that have settings.
        url: [rows] addresses, may hold nulls; None where they are not known.
        lang_label: [rows] labels of the model; None where they are the tags.
    """

    text: pa.Array
    lang: pa.Array
    lang_score: pa.Array
    recipe: Recipe
    url: pa.Array | None = None
    lang_label: pa.Array | None = None


def base_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return language and the Gopher and FineWeb signals."""
    quality = dict(zip(QUALITY_SIGNALS, quality_signals(given.text), strict=True))
    label = given.lang if given.lang_label is None else given.lang_label
    return {"lang": given.lang, "lang_label": label, "lang_score": given.lang_score, **quality}


def language_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return in which languages the paragraphs are."""
    return paragraph_languages(given.text, given.recipe.language)


def lists_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return what the list files of the user say about addresses and texts."""
    lists = given.recipe.lists
    block, allow, words = (
        load_url_list(lists.url_block),
        load_url_list(lists.url_allow),
        load_url_words(lists.url_words),
    )
    urls = [None] * len(given.text) if given.url is None else given.url.to_pylist()
    found, per_word = count_bad_words(given.text, given.lang, lists.bad_words)
    return {
        "url_listed": pa.array([classify_url(url, block, allow) for url in urls], pa.string()),
        "url_words": pa.array([float(count_url_words(url, words)) for url in urls], pa.float64()),
        "bad_words": pa.array(found),
        "bad_words_per_word": pa.array(per_word),
    }


def _ratios(statistics: pa.RecordBatch, ratios: dict[str, tuple[str, str]]) -> dict[str, pa.Array]:
    """Divide counts; a denominator of 0 counts as 1."""
    count = {name: statistics.column(name).to_numpy().astype(np.float64) for name in statistics.schema.names}
    return {name: pa.array(count[top] / np.maximum(count[bottom], 1.0)) for name, (top, bottom) in ratios.items()}


def dolma_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return Dolma's Gopher signals."""
    counts = dolma_statistics(given.text)
    plain = {"dolma_words": counts["words"], "dolma_stop_words": counts["stop_words"]}
    signals = {name: column.cast(pa.float64()) for name, column in plain.items()}
    signals["dolma_median_word_length"] = pc.multiply(counts["twice_median_word_chars"].cast(pa.float64()), 0.5)
    return {**signals, **_ratios(counts, _DOLMA_RATIOS)}


def c4_group(given: SignalInput, name: str, variant: C4Variant) -> dict[str, pa.Array]:
    """Return the signals of one form of C4's rules, named after `name`."""
    counts = c4_statistics(given.text, variant)
    counts = counts.append_column("chars", pc.utf8_length(given.text).cast(pa.int64()))
    plain = ("sentences", "lorem_ipsum_lines", "curly_bracket_lines", "javascript_lines", "policy_lines")
    signals = {f"c4_{name}_{c}": counts[c].cast(pa.float64()) for c in (*plain, "long_word_lines")}
    return {**signals, **_ratios(counts, _c4_ratios(name))}


def c4_tfds_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return the signals of the code that made C4."""
    chars = pc.utf8_length(given.text).cast(pa.float64())
    return {"c4_tfds_chars": chars, **c4_group(given, "tfds", C4_TFDS)}


def c4_datatrove_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return the signals of datatrove's C4 filter."""
    return c4_group(given, "datatrove", C4_DATATROVE)


def script_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return the Gopher and FineWeb signals that look at words, with words as the script has them."""
    counts, stops = script_statistics(given.text, given.lang)
    plain = {"script_words": counts["non_symbol_words"], "script_stop_words": pa.array(stops)}
    return {
        **{name: column.cast(pa.float64()) for name, column in plain.items()},
        **_ratios(counts, _SCRIPT_RATIOS),
    }


def perplexity_group(given: SignalInput) -> dict[str, pa.Array]:
    """Return perplexity and bucket under the n-gram models of the recipe."""
    files = {} if given.recipe.perplexity is None else given.recipe.perplexity.files
    values, buckets = perplexity_columns(given.text, given.lang, files)
    return {"perplexity": values, "perplexity_bucket": buckets}


def classifier_group(given: SignalInput, group: str) -> dict[str, pa.Array]:
    """Return the probability of a classifier of the recipe."""
    return {group: classifier_probability(given.text, given.recipe.classifiers[group.removeprefix(CLASSIFIER)])}


GROUP_FUNCTIONS: dict[str, Callable[[SignalInput], dict[str, pa.Array]]] = {
    BASE_GROUP: base_group,
    "lists": lists_group,
    "language": language_group,
    "gopher_dolma": dolma_group,
    "c4_tfds": c4_tfds_group,
    "c4_datatrove": c4_datatrove_group,
    "script": script_group,
    "perplexity": perplexity_group,
}
"""Who measures the columns of each group of SIGNAL_GROUPS."""


def measure_groups(given: SignalInput, groups: Sequence[str]) -> list[pa.Array]:
    """Measure groups of signals.

    Args:
        given: texts and their languages.
        groups: names of groups, in the order of SIGNAL_GROUPS, and of classifiers.

    Returns:
        One [rows] array per column of the groups, in the order of the schema.
    """
    columns = []
    for group in groups:
        is_classifier = group.startswith(CLASSIFIER)
        measured = classifier_group(given, group) if is_classifier else GROUP_FUNCTIONS[group](given)
        columns += [measured[column.name] for column in columns_of(group)]
    return columns


def formulas() -> dict[str, str]:
    """Return the formula of every signal that is a ratio of counts, in the names of the counts of its kernel."""
    ratios = {**_RATIOS, **_DOLMA_RATIOS, **_SCRIPT_RATIOS, **_c4_ratios("tfds"), **_c4_ratios("datatrove")}
    found = {name: f"{top} / {bottom}" for name, (top, bottom) in ratios.items()}
    found["fineweb_dup_line_char_frac"] = "dup_full_line_chars / (chars - newlines)"
    found["dolma_median_word_length"] = "twice_median_word_chars / 2"
    return found
