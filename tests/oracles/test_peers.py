"""Every statistic of every named profile against its origin, given the same words: `make test-oracles`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts.recipe import Recipe, Rule, Source
from pipelines.kernels.punctuation import PUNCTUATION, SENTENCE_ENDS, TERMINAL
from pipelines.kernels.quality import quality_statistics, quality_statistics_of_words
from pipelines.kernels.quality_c4 import C4_DATATROVE, C4_TFDS, c4_statistics
from pipelines.ops.profiles import PROFILES
from pipelines.ops.rules import evaluate_rules
from pipelines.ops.signals import SignalInput, c4_datatrove_group, c4_tfds_group, dolma_group, signals_of
from tests.oracles.documents import mixed_documents
from tests.oracles.environment import run_peer

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("MIXTRACE_TEST_ORACLES"), reason="the peers are compared by `make test-oracles`"
    ),
    pytest.mark.timeout(3600),
]
REASONS = {  # datatrove's reason: our rule
    "dup_para_frac": "gopher_dup_paragraphs", "dup_para_char_frac": "gopher_dup_paragraph_chars",
    "dup_line_frac": "gopher_dup_lines", "dup_line_char_frac": "gopher_dup_line_chars",
    **{f"top_{n}_gram": f"gopher_top_{n}gram" for n in range(2, 5)},
    **{f"duplicated_{n}_n_grams": f"gopher_dup_{n}gram" for n in range(5, 11)},
    "gopher_short_doc": "gopher_word_count", "gopher_long_doc": "gopher_word_count",
    "gopher_below_avg_threshold": "gopher_word_length", "gopher_above_avg_threshold": "gopher_word_length",
    "gopher_too_many_hashes": "gopher_hashes", "gopher_too_many_ellipsis": "gopher_ellipses",
    "gopher_too_many_bullets": "gopher_bullet_lines", "gopher_too_many_end_ellipsis": "gopher_ellipsis_lines",
    "gopher_below_alpha_threshold": "gopher_alpha_words", "gopher_enough_stop_words": "gopher_stop_words",
    "line_punct_ratio": "fineweb_terminal_lines", "short_line_ratio": "fineweb_short_lines",
    "char_dup_ratio": "fineweb_dup_lines", "list_ratio": "fineweb_newlines",
}  # fmt: skip
FAMILIES = {
    "repetition": "gopher-repetition@datatrove",
    "quality": "gopher-quality@datatrove",
    "fineweb": "fineweb@datatrove",
}
EQUALITY: list[tuple[str, str, int, int]] = []
AGREEMENT: list[tuple[str, str, int, float]] = []


@pytest.fixture(scope="module")
def texts() -> list[str]:
    origin, found, _ = mixed_documents()
    print(f"\n{len(found)} documents: {origin}")
    assert len(found) >= 5000 or "MIXTRACE_ORACLE_DOCUMENTS" in os.environ
    return found


@pytest.fixture(scope="module")
def peers(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_peer(tmp_path_factory.mktemp("measure"), "measure", [{"text": text} for text in texts])


@pytest.fixture(scope="module", autouse=True)
def tables() -> Any:
    yield
    lines = ["", "| profile | statistic | documents | mismatches |", "|---|---|---|---|"]
    lines += [f"| {profile} | {name} | {count:,} | {bad} |" for profile, name, count, bad in EQUALITY]
    lines += ["", "| words | verdicts of | documents | agreement |", "|---|---|---|---|"]
    lines += [f"| {words} | {name} | {count:,} | {share:.4f} |" for words, name, count, share in AGREEMENT]
    print("\n".join(lines))
    folder = Path("build")
    folder.mkdir(exist_ok=True)
    (folder / "oracles.md").write_text("\n".join(lines) + "\n", "utf-8")


def note(profile: str, statistic: str, equal: list[bool]) -> int:
    bad = len(equal) - sum(equal)
    EQUALITY.append((profile, statistic, len(equal), bad))
    return bad


def given(texts: list[str]) -> SignalInput:
    recipe = Recipe(name="t", sources=(Source(name="a", path=("x",), format="text"),))
    lang = pa.array(["en"] * len(texts))
    return SignalInput(pa.array(texts, pa.large_string()), lang, pa.array([1.0] * len(texts), pa.float32()), recipe)


def of_words(texts: list[str], words: list[list[str]]) -> dict[str, np.ndarray]:
    array = pa.array(words, pa.list_(pa.string()))
    return signals_of(quality_statistics_of_words(pa.array(texts, pa.large_string()), array))


def first_reasons(signals: dict[str, Any], rules: dict[str, Rule]) -> list[str]:
    """Return the first rule that each document fails, or ""."""
    rows = len(next(iter(signals.values())))
    table = pa.table({"lang": ["en"] * rows, **signals})
    failed = evaluate_rules(table, pa.array(["a"] * rows), rules)
    names = [*rules, ""]
    return [names[int(row.argmax()) if row.any() else -1] for row in failed]


def test_sets_of_punctuation_are_those_of_the_peers(tmp_path: Path) -> None:
    found = run_peer(tmp_path, "sets", [{}])[0]
    assert found == {
        "punctuation": sorted(set(PUNCTUATION)), "terminal": sorted(TERMINAL), "sentence_ends": sorted(SENTENCE_ENDS),
    }  # fmt: skip


def test_gopher_and_fineweb_statistics_of_datatrove(
    texts: list[str], peers: list[dict[str, Any]], tmp_path: Path
) -> None:
    rows = [i for i, peer in enumerate(peers) if peer["spacy"]]
    chosen, words = [texts[i] for i in rows], [peers[i]["spacy"] for i in rows]
    signals = of_words(chosen, words)
    bad = 0
    for name in peers[0]["repetition"]:
        bad += note(
            "gopher@datatrove",
            name,
            [peers[i]["repetition"][name] == v for i, v in zip(rows, signals[name].tolist(), strict=True)],
        )
    probed = [name for name in signals if name not in peers[0]["repetition"]]
    asked = [
        {"text": text, "words": given_words, "values": {name: float(signals[name][k]) for name in probed}}
        for k, (text, given_words) in enumerate(zip(chosen, words, strict=True))
    ]
    answers = run_peer(tmp_path, "probe", asked)
    for name in probed:
        profile = "fineweb@datatrove" if name.startswith("fineweb") else "gopher@datatrove"
        equal = [answer[name] for answer in answers]
        bad += note(profile, name, equal)
    for family, profile in FAMILIES.items():
        ours = first_reasons(signals, PROFILES[profile])
        theirs = [REASONS.get(peers[i]["verdicts_spacy"][family], peers[i]["verdicts_spacy"][family]) for i in rows]
        bad += note(profile, "verdict and first reason", [a == b for a, b in zip(ours, theirs, strict=True)])
        assert len(set(theirs)) > 2
    assert bad == 0


def test_gopher_statistics_of_dolma(texts: list[str], peers: list[dict[str, Any]]) -> None:
    signals = {name: column.to_pylist() for name, column in dolma_group(given(texts)).items()}
    assert set(signals) == set(peers[0]["dolma"])
    bad = sum(
        note("gopher@dolma", name, [p["dolma"][name] == v for p, v in zip(peers, signals[name], strict=True)])
        for name in signals
    )
    theirs = {name: pa.array([peer["dolma"][name] for peer in peers]) for name in signals}
    rules = PROFILES["gopher@dolma"]
    bad += note(
        "gopher@dolma",
        "verdict and first reason",
        [a == b for a, b in zip(first_reasons(signals, rules), first_reasons(theirs, rules), strict=True)],
    )
    assert bad == 0


@pytest.mark.parametrize(
    ("profile", "key", "variant", "group", "reasons"),
    [
        (
            "c4@datatrove",
            "c4_datatrove",
            C4_DATATROVE,
            c4_datatrove_group,
            ("lorem_ipsum", "curly_bracket", "too_few_sentences"),
        ),
        ("c4@tfds", "c4_tfds", C4_TFDS, c4_tfds_group, ("loremipsum", "squigglybracket", "too_few_sentences")),
    ],
)
def test_c4_line_rules(
    texts: list[str],
    peers: list[dict[str, Any]],
    profile: str,
    key: str,
    variant: Any,
    group: Any,
    reasons: tuple[str, ...],
) -> None:
    counts = c4_statistics(pa.array(texts, pa.large_string()), variant).to_pylist()
    whole = [i for i, peer in enumerate(peers) if peer[key]["reason"] not in reasons[:2]]  # the peer read every line
    bad = 0
    for name in (name for name in peers[0][key] if name.endswith("lines")):
        bad += note(profile, name, [peers[i][key][name] == counts[i][name] for i in whole])
    plain = [i for i in whole if peers[i][key]["text_chars"] and not peers[i][key]["reason"] and "[" not in texts[i]]
    expected = [counts[i]["kept_chars"] + max(counts[i]["kept_lines"] - 1, 0) for i in plain]
    bad += note(
        profile, "characters kept", [peers[i][key]["text_chars"] == e for i, e in zip(plain, expected, strict=True)]
    )
    ours = first_reasons(
        {n: c.to_pylist() for n, c in group(given(texts)).items()},
        {n: r for n, r in PROFILES[profile].items() if n != "c4_tfds_length"},
    )
    bad += note(
        profile,
        "verdict (same sentences)",
        [(a == "") == (p[key]["reason"] == "") for a, p in zip(ours, peers, strict=True)],
    )
    few = [peers[i][key]["reason"] == reasons[2] for i in whole]
    bad += note(
        profile, "too few sentences", [(ours[i] == f"{key}_sentences") == f for i, f in zip(whole, few, strict=True)]
    )
    assert bad == 0
    assert Counter(peer[key]["reason"] for peer in peers).keys() == {"", *reasons}
    if key == "c4_datatrove":
        same = [(a == "") == (p["c4_datatrove_spacy"] == "") for a, p in zip(ours, peers, strict=True)]
        AGREEMENT.append(("ours against spaCy's sentences", profile, len(same), sum(same) / len(same)))


def test_agreement_of_our_words_with_those_of_the_peers(texts: list[str], peers: list[dict[str, Any]]) -> None:
    as_found = set(mixed_documents()[2])
    rows = [i for i, text in enumerate(texts) if text in as_found]
    chosen, answers = [texts[i] for i in rows], [peers[i] for i in rows]
    own = quality_statistics(pa.array(chosen, pa.large_string()))
    split = {"ours": signals_of(own), "white space": of_words(chosen, [text.split() for text in chosen])}
    shares = {}
    for words, values in split.items():
        for peer_words in ("spacy", "nltk"):
            for family, profile in FAMILIES.items():
                ours = first_reasons(values, PROFILES[profile])
                theirs = [peer[f"verdicts_{peer_words}"][family] for peer in answers]
                share = sum((a == "") == (b == "") for a, b in zip(ours, theirs, strict=True)) / len(rows)
                shares[words, peer_words, family] = share
                AGREEMENT.append((f"{words} against {peer_words}", profile, len(rows), share))
    counts = own["words"].to_numpy() / [len(peer["spacy"]) for peer in answers]
    AGREEMENT.append(
        ("ours against spacy", "number of words within 5 %", len(rows), float((abs(counts - 1) <= 0.05).mean()))
    )
    assert min(share for (words, _, _), share in shares.items() if words == "ours") > 0.9
    assert all(shares["ours", peer, "quality"] > shares["white space", peer, "quality"] for peer in ("spacy", "nltk"))
