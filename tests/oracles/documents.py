"""Mixed documents for the comparison: the demo workspace where there is one, code, and made-up awkward pages."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

from benchmarks.corpus import demo_documents, library_documents
from pipelines.contracts.ids import fraction

DOCUMENTS = int(os.environ.get("MIXTRACE_ORACLE_DOCUMENTS", "5200"))
MAX_CHARS = 2500
WORKSPACE = Path(os.environ.get("MIXTRACE_ORACLE_WORKSPACE", "build/demo"))
INSERTS = [
    "lorem ipsum dolor.", "Please enable JavaScript now.", "We use cookies on this page.", "a { b }", "[1]", "[edit]",
    "[citation needed]", "...", "…", "#", "##", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029",
    "\n\n", "\n\n\n", "\n- ", "\n• ", "\n* ", "he said 'so'", '"Is it?" he asked.', "\u00a0", "\u3000", "။", "؟", "።", "１",
    "x" * 1001, "terms of use", "The end.", "the the", "U.S. 3.14 e.g. don't can't", "\n" * 6, "\u212aelvin Coo\u212aies", "İ",
]  # fmt: skip
NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
VOCABULARY = [
    "the", "be", "to", "of", "and", "that", "have", "with", "cat", "dog", "naïve", "Straße", "12", "3.5", "it's", "e.g.",
    "-", "•", "…", "...", "#tag", "日本", "слово", "كلمة", "हिन्दी", "a_b", "x@y.z", "!!", "?!", ")", "(", "“quoted”",
]  # fmt: skip


def made_up(count: int) -> list[str]:
    """Make pages of a small vocabulary, with repeated n-grams, lines and paragraphs."""
    rng = random.Random(11)
    texts = []
    for _ in range(count):
        words = rng.sample(VOCABULARY, rng.randint(2, len(VOCABULARY)))
        joins = rng.choices([" ", " ", " ", "\n", ".\n", "\n\n", "...\n", "\n- ", *INSERTS[4:20]], k=rng.randint(1, 6))
        texts.append("".join(rng.choice(words) + rng.choice(joins) for _ in range(rng.randint(1, 250))))
    return texts


def disturbed(text: str, seed: int) -> str:
    """Insert what rules look for; repeat some lines."""
    rng = random.Random(seed)
    pieces = text.split(" ")
    for _ in range(rng.randint(0, 8)):
        pieces.insert(rng.randint(0, len(pieces)), rng.choice(INSERTS))
    lines = " ".join(pieces).split("\n")
    for _ in range(rng.choice([0, 0, 1, 4])):
        lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    return "\n".join(lines)


def mixed_documents() -> tuple[str, list[str], list[str]]:
    """Draw documents by hash; every second one is disturbed.

    Returns:
        (where they come from, [documents] texts, none of them blank, those of them that are as they were found and
        in a script with spaces).
    """
    has_demo = (WORKSPACE / "documents").is_dir()
    found = demo_documents(WORKSPACE) if has_demo else library_documents()
    drawn = [text[:MAX_CHARS] for text in sorted(set(found), key=lambda text: fraction(text, "oracle")) if text.strip()]
    share = DOCUMENTS * 6 // 10
    spaced = [text for text in drawn if has_spaces(text)][:share]
    real = [*spaced, *(text for text in drawn if not has_spaces(text))][: DOCUMENTS * 8 // 10]
    texts = [disturbed(text, i) if i % 2 else text for i, text in enumerate(real)]
    texts = [text for text in [*texts, *made_up(2 * DOCUMENTS)] if text.strip()][:DOCUMENTS]
    origin = "demo corpora" if has_demo else "standard library"
    return f"{len(real)} of the {origin}, every second one disturbed; the rest made up", texts, spaced[::2]


def has_spaces(text: str) -> bool:
    """Say whether a text is in scripts with spaces, for which datatrove's English splitter is meant at all."""
    return not NO_SPACES.search(text)
