"""BLEU and ROUGE of generated texts, by the libraries that define them: sacrebleu and rouge-score.

Texts in scripts without spaces between words (most letters are Han, kana, Thai, Lao, Khmer, Burmese) are compared
character by character, others word by word (13a; rouge-score's own words, which are runs of a-z and 0-9). Both
numbers are of one reference and of text that a model happened to write: for people to look at, never in a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.contracts.errors import ConfigError, message

ROUGE = ("rouge1", "rouge2", "rougeL")
REASON = "text that was written once, against one reference: says little of a model; for people to look at"
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")

Units = Literal["words", "characters"]


@dataclass(frozen=True)
class Overlap:
    """How much of the references generated texts hold.

    Attributes:
        bleu: corpus BLEU, 0 to 100 (Papineni et al. 2002; Post 2018, arXiv:1804.08771).
        rouge1: mean F of shared words, 0 to 1 (Lin 2004), as rouge2 (pairs) and rougeL (longest common subsequence).
        units: what is compared.
        signature: how BLEU was computed, in sacrebleu's words.
    """

    bleu: float
    rouge1: float
    rouge2: float
    rougeL: float
    units: Units
    signature: str


class _Characters:
    """Splits a text into its characters, without white space, for rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        return [character for character in text.lower() if not character.isspace()]


def text_units(texts: Sequence[str]) -> Units:
    """Say whether texts are compared by words or by characters."""
    joined = "".join(texts)
    letters = len(_LETTER.findall(joined))
    return "characters" if 2 * len(_UNSPACED.findall(joined)) > letters else "words"


def overlap(written: Sequence[str], references: Sequence[str], units: Units | None = None) -> Overlap:
    """Compare texts with one reference each.

    Args:
        written: what a model wrote.
        references: what was there.
        units: what is compared; None asks the references (`text_units`).

    Raises:
        ConfigError: if sacrebleu or rouge-score are not installed, or there is nothing to compare.
    """
    if not written:
        raise ConfigError(message("BLEU, ROUGE", "nothing to compare", "0 texts", "at least one"))
    units = units or text_units(references)
    bleu_of, scorer = _libraries(units)
    bleu = bleu_of.corpus_score(list(written), [list(references)])
    found = [scorer.score(reference, text) for text, reference in zip(written, references, strict=True)]
    means = {name: sum(one[name].fmeasure for one in found) / len(found) for name in ROUGE}
    return Overlap(bleu.score, means["rouge1"], means["rouge2"], means["rougeL"], units, str(bleu_of.get_signature()))


def _libraries(units: Units) -> tuple[Any, Any]:
    """Set both libraries up."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
        from sacrebleu.metrics import BLEU
    except ModuleNotFoundError as error:
        expected = "pip install sacrebleu rouge-score"
        raise ConfigError(message("BLEU, ROUGE", "a package is not installed", error.name, expected)) from error
    if units == "words":
        return BLEU(tokenize="13a"), RougeScorer(list(ROUGE))
    return BLEU(tokenize="char"), RougeScorer(list(ROUGE), tokenizer=_Characters())
