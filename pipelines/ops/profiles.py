"""Named profiles of rules. The name says whose measurement and thresholds these are.

Thresholds: Gopher, Rae et al. 2021 (arXiv:2112.11446), table A1; FineWeb, Penedo et al. 2024
(arXiv:2406.17557). The statistics follow datatrove's functions; words come from our own splitter.
"""

from __future__ import annotations

from pipelines.contracts.recipe import Rule

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

PROFILES: dict[str, dict[str, Rule]] = {
    "gopher-quality@datatrove": _GOPHER_QUALITY,
    "gopher-repetition@datatrove": _GOPHER_REPETITION,
    "gopher@datatrove": {**_GOPHER_REPETITION, **_GOPHER_QUALITY},
    "fineweb@datatrove": _FINEWEB,
}
