"""Named profiles of rules. The name says whose measurement and thresholds these are.

Thresholds: Gopher, Rae et al. 2021 (arXiv:2112.11446), table A1; C4, Raffel et al. 2020 (arXiv:1910.10683), as
coded; FineWeb, Penedo et al. 2024 (arXiv:2406.17557); FineWeb-2, Penedo et al. 2025 (arXiv:2506.20920). Each
statistic equals the function of the origin given the same words (`make test-oracles`); words come from our own
splitter, or from ICU where a script has no spaces (`script_*`). Why `mixtrace` is as it is: docs/decisions.
"""

from __future__ import annotations

from pipelines.contracts.recipe import Rule
from pipelines.ops.script_words import languages

_GOPHER_QUALITY = {
    "gopher_word_count": Rule(signal="gopher_words", min=50, max=100_000),
    "gopher_word_length": Rule(signal="gopher_mean_word_length", min=3, max=10),
    "gopher_hashes": Rule(signal="gopher_hash_ratio", max=0.1),
    "gopher_ellipses": Rule(signal="gopher_ellipsis_ratio", max=0.1),
    "gopher_bullet_lines": Rule(signal="gopher_bullet_line_frac", max=0.9),
    "gopher_ellipsis_lines": Rule(signal="gopher_ellipsis_line_frac", max=0.3),
    "gopher_alpha_words": Rule(signal="gopher_alpha_word_frac", min=0.8),
    "gopher_stop_words": Rule(signal="gopher_stop_words", min=2),
}
_GOPHER_REPETITION = {
    "gopher_dup_paragraphs": Rule(signal="gopher_dup_paragraph_frac", max=0.3),
    "gopher_dup_paragraph_chars": Rule(signal="gopher_dup_paragraph_char_frac", max=0.2),
    "gopher_dup_lines": Rule(signal="gopher_dup_line_frac", max=0.3),
    "gopher_dup_line_chars": Rule(signal="gopher_dup_line_char_frac", max=0.2),
    **{
        f"gopher_top_{n}gram": Rule(signal=f"gopher_top_{n}gram_char_frac", max=limit)
        for n, limit in ((2, 0.20), (3, 0.18), (4, 0.16))
    },
    **{
        f"gopher_dup_{n}gram": Rule(signal=f"gopher_dup_{n}gram_char_frac", max=limit)
        for n, limit in zip(range(5, 11), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10), strict=True)
    },
}
_FINEWEB = {
    "fineweb_terminal_lines": Rule(signal="fineweb_terminal_line_frac", min=0.12),
    "fineweb_short_lines": Rule(signal="fineweb_short_line_frac", max=0.67),
    "fineweb_dup_lines": Rule(signal="fineweb_dup_line_char_frac", max=0.01),
    "fineweb_newlines": Rule(signal="fineweb_newlines_per_word", max=0.3),
}

_NGRAM_LIMITS = {
    **dict(zip(range(2, 5), (0.20, 0.18, 0.16), strict=True)),
    **dict(zip(range(5, 11), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10), strict=True)),
}
# The mixing configuration of Dolma 1.5 (head of Common Crawl). Its three limits on the commonest n-grams name
# attributes that its tagger does not write, so they never fired there; here they do.
_DOLMA = {
    "dolma_word_count": Rule(signal="dolma_words", min=50, max=100_000),
    "dolma_word_length": Rule(signal="dolma_median_word_length", min=3, max=10),
    "dolma_symbols": Rule(signal="dolma_symbol_word_frac", max=0.1),
    "dolma_alpha_words": Rule(signal="dolma_alpha_word_frac", min=0.8),
    "dolma_stop_words": Rule(signal="dolma_stop_words", min=2),
    "dolma_bullet_lines": Rule(signal="dolma_bullet_line_frac", max=0.9),
    "dolma_ellipsis_lines": Rule(signal="dolma_ellipsis_line_frac", max=0.3),
    "dolma_dup_lines": Rule(signal="dolma_dup_line_frac", max=0.3),
    "dolma_dup_line_chars": Rule(signal="dolma_dup_line_char_frac", max=0.3),
    **{
        f"dolma_{'top' if n < 5 else 'dup'}_{n}gram": Rule(
            signal=f"dolma_{'top' if n < 5 else 'dup'}_{n}gram_char_frac", max=limit
        )
        for n, limit in _NGRAM_LIMITS.items()
    },
}


def _c4(variant: str, min_sentences: int) -> dict[str, Rule]:
    """Return the rules that drop a page; C4 also cuts lines, which rules cannot (see `c4_*_kept_char_frac`)."""
    return {
        f"c4_{variant}_lorem_ipsum": Rule(signal=f"c4_{variant}_lorem_ipsum_lines", max=0),
        f"c4_{variant}_curly_bracket": Rule(signal=f"c4_{variant}_curly_bracket_lines", max=0),
        f"c4_{variant}_sentences": Rule(signal=f"c4_{variant}_sentences", min=min_sentences),
    }


def _by_language(key: str, place: int | None = None) -> dict[str, float]:
    """Return one threshold of every language of languages.json."""
    return {lang: entry[key] if place is None else entry[key][place] for lang, entry in languages().items()}


def _fineweb2() -> dict[str, Rule]:
    """Return FineWeb-2's rules, which apply to the languages that it has thresholds for."""
    known = tuple(languages())
    length = {
        "min_by_language": _by_language("min_mean_word_length"),
        "max_by_language": _by_language("max_mean_word_length"),
    }
    rules = {
        "fineweb2_language_score": Rule(signal="lang_score", min_by_language=_by_language("lang_score")),
        "fineweb2_dup_lines": Rule(signal="gopher_dup_line_frac", max_by_language=_by_language("dup_line_frac")),
        **{
            f"fineweb2_top_{n}gram": Rule(
                signal=f"script_top_{n}gram_char_frac", max_by_language=_by_language("top_ngram_char_frac", n - 2)
            )
            for n in range(2, 5)
        },
        **{
            f"fineweb2_dup_{n}gram": Rule(
                signal=f"script_dup_{n}gram_char_frac", max_by_language=_by_language("dup_ngram_char_frac", n - 5)
            )
            for n in range(5, 11)
        },
        "fineweb2_terminal_lines": Rule(
            signal="fineweb_terminal_line_frac", min_by_language=_by_language("terminal_line_frac")
        ),
        "fineweb2_dup_line_chars": Rule(signal="fineweb_dup_line_char_frac", max=0.1),
        "fineweb2_newlines": Rule(signal="script_newlines_per_word", max_by_language=_by_language("newlines_per_word")),
        "fineweb2_word_count": Rule(signal="script_words", min=50, max=100_000),
        "fineweb2_word_length": Rule(signal="script_mean_word_length", **length),
        "fineweb2_hashes": Rule(signal="script_hash_ratio", max=0.1),
        "fineweb2_ellipses": Rule(signal="script_ellipsis_ratio", max=0.1),
        "fineweb2_bullet_lines": Rule(signal="gopher_bullet_line_frac", max=0.9),
        "fineweb2_ellipsis_lines": Rule(signal="gopher_ellipsis_line_frac", max=0.3),
        "fineweb2_alpha_words": Rule(signal="script_alpha_word_frac", min_by_language=_by_language("alpha_word_frac")),
        "fineweb2_stop_words": Rule(signal="script_stop_words", min=2),
    }
    return {name: rule.model_copy(update={"languages": known}) for name, rule in rules.items()}


def _mixtrace() -> dict[str, Rule]:
    """Return our default: few rules, words by script, a threshold in every language, stop words where we have any."""
    most = {n: {"max": limit} for n, limit in _NGRAM_LIMITS.items()}
    for n in range(2, 5):  # never stricter than Gopher, looser where a language needs it
        loose = _by_language("top_ngram_char_frac", n - 2)
        most[n]["max_by_language"] = {lang: max(value, _NGRAM_LIMITS[n]) for lang, value in loose.items()}
    for n in range(5, 11):
        loose = _by_language("dup_ngram_char_frac", n - 5)
        most[n]["max_by_language"] = {lang: max(value, _NGRAM_LIMITS[n]) for lang, value in loose.items()}
    return {
        "mixtrace_word_count": Rule(signal="script_words", min=50, max=100_000),
        "mixtrace_word_length": Rule(
            signal="script_mean_word_length",
            min_by_language=_by_language("min_mean_word_length"),
            max=21,
            max_by_language=_by_language("max_mean_word_length"),
        ),
        "mixtrace_hashes": Rule(signal="script_hash_ratio", max=0.1),
        "mixtrace_ellipses": Rule(signal="script_ellipsis_ratio", max=0.1),
        "mixtrace_bullet_lines": Rule(signal="gopher_bullet_line_frac", max=0.9),
        "mixtrace_ellipsis_lines": Rule(signal="gopher_ellipsis_line_frac", max=0.3),
        "mixtrace_alpha_words": Rule(
            signal="script_alpha_word_frac", min=0.7, min_by_language=_by_language("alpha_word_frac")
        ),
        "mixtrace_stop_words": Rule(signal="script_stop_words", min=2, languages=tuple(languages())),
        "mixtrace_dup_paragraph_chars": Rule(signal="gopher_dup_paragraph_char_frac", max=0.2),
        "mixtrace_dup_line_chars": Rule(signal="gopher_dup_line_char_frac", max=0.2),
        **{
            f"mixtrace_{kind}_{n}gram": Rule(signal=f"script_{kind}_{n}gram_char_frac", **most[n])
            for n, kind in ((n, "top" if n < 5 else "dup") for n in _NGRAM_LIMITS)
        },
    }


PROFILES: dict[str, dict[str, Rule]] = {
    "mixtrace": _mixtrace(),
    "gopher-quality@datatrove": _GOPHER_QUALITY,
    "gopher-repetition@datatrove": _GOPHER_REPETITION,
    "gopher@datatrove": {**_GOPHER_REPETITION, **_GOPHER_QUALITY},
    "gopher@dolma": _DOLMA,
    "c4@tfds": {"c4_tfds_length": Rule(signal="c4_tfds_chars", max=190_000), **_c4("tfds", 3)},
    "c4@datatrove": _c4("datatrove", 5),
    "fineweb@datatrove": _FINEWEB,
    "fineweb2": _fineweb2(),
}

SOURCES: dict[str, str] = {
    "mixtrace": "this project (docs/decisions); formulas of datatrove 0.10.1 over words by script",
    "gopher-quality@datatrove": "datatrove 0.10.1, GopherQualityFilter; Rae et al. 2021, arXiv:2112.11446, A.1.1",
    "gopher-repetition@datatrove": "datatrove 0.10.1, GopherRepetitionFilter; Rae et al. 2021, table A1",
    "gopher@datatrove": "both of the above, repetition first",
    "gopher@dolma": "dolma 1.2.1, tagger gopher_v1; limits of Dolma 1.5's mixing configuration",
    "c4@tfds": "tensorflow_datasets text/c4_utils.py, clean_page and is_valid_length; Raffel et al. 2020, arXiv:1910.10683",
    "c4@datatrove": "datatrove 0.10.1, C4QualityFilter",
    "fineweb@datatrove": "datatrove 0.10.1, FineWebQualityFilter; Penedo et al. 2024, arXiv:2406.17557",
    "fineweb2": "FineWeb-2's configurations per language, own stop words; Penedo et al. 2025, arXiv:2506.20920",
}
"""Where each profile's measurements and limits come from."""
