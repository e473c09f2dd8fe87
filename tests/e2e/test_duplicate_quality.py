"""What deduplication promises, on natural duplicates, against brute force over exact shingle sets.

The corpora lie on any machine (licences, package descriptions, codec tables); the Debian installation guide for two
architectures is taken where tests/setup.sh could fetch it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.duplicates import checks, corpora
from benchmarks.duplicates.brute_force import Pairs, similar_pairs
from benchmarks.duplicates.curves import curve_over_seeds
from benchmarks.duplicates.planted import SYLLABLES, PlantedPair, planted_pairs
from benchmarks.duplicates.templates import template_pages
from benchmarks.duplicates.workspace import curate_until
from pipelines.contracts.dedup import Near

GUIDE_LANGUAGES = ("en", "ru", "zh_CN")
TEMPLATE_PAGES = 2000
PLANTED_PAIRS = 20
SHORT = ["short", "short", "short.", "a b c d", "a b c d", "a b c e", "A b c d", "日本", "日本", "日木", ""]
VERSIONS = [  # (url, text)
    ("https://news.example/a?utm_source=mail", "first version of the story, which was corrected soon"),
    ("http://www.news.example/a/", "second version of the story with other words, corrected"),
    ("https://news.example/a#end", "third version that says something else altogether"),
    ("https://news.example/b", "another story at another address altogether, and longer"),
]
RECIPE = """
name: duplicates
sources:
  - {name: legal, path: legal.jsonl.gz, format: jsonl}
  - {name: codecs, path: codecs.jsonl.gz, format: jsonl}
  - {name: short, path: short.jsonl.gz, format: jsonl}
  - {name: versions, path: versions.jsonl.gz, format: jsonl}
  - {name: planted, path: planted.jsonl.gz, format: jsonl}
  - {name: template, path: template.jsonl.gz, format: jsonl}
rules:  # fails the longest copies of many clusters, and so those that would lead
  too_long: {signal: gopher_words, max: 1500, sources: [legal, guide]}
split: {heldout_fraction: 0.3, max_heldout_fraction: 0.3, max_component: 100000}
"""
GUIDE = "\n  - {name: guide, path: 'guide-*.warc.gz', format: warc}\nrules:"
NATURAL = ("legal", "codecs", "guide")


def planted() -> list[PlantedPair]:
    return [pair for script in SYLLABLES for pair in planted_pairs(script, PLANTED_PAIRS, Near(), seed=1)]


def planted_documents() -> Iterator[tuple[str, str]]:
    for number, pair in enumerate(planted()):
        yield f"https://{pair.script.lower()}.example/{number}/original", pair.original
        yield f"https://{pair.script.lower()}.example/{number}/edited", pair.edited


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("duplicates")
    corpora.write_documents(folder / "legal.jsonl.gz", corpora.legal_texts())
    corpora.write_documents(folder / "codecs.jsonl.gz", corpora.codec_tables())
    corpora.write_documents(folder / "template.jsonl.gz", template_pages(TEMPLATE_PAGES, 3))
    corpora.write_documents(folder / "planted.jsonl.gz", planted_documents())
    corpora.write_documents(folder / "versions.jsonl.gz", VERSIONS)
    shorts = ((f"https://short.example/{number}", text) for number, text in enumerate(SHORT))
    corpora.write_documents(folder / "short.jsonl.gz", shorts)
    text, packages = RECIPE, corpora.fetched_guides()
    if packages:
        corpora.write_guide(packages, folder, GUIDE_LANGUAGES)
        text = text.replace("\nrules:", GUIDE)
    else:
        text = text.replace(", guide]", "]")
    (folder / "recipe.yaml").write_text(text)
    curate_until("decide", folder / "recipe.yaml", folder / "ws")
    return str(folder / "ws")


@pytest.fixture(scope="module")
def natural(workspace: str) -> checks.Corpus:
    return checks.read_corpus(workspace, NATURAL)


@pytest.fixture(scope="module")
def candidates(natural: checks.Corpus) -> Pairs:
    return checks.candidate_pairs(natural)


@pytest.fixture(scope="module")
def truth(natural: checks.Corpus) -> Pairs:
    return checks.all_similar_pairs(natural)


@pytest.fixture(scope="module")
def guarantees(natural: checks.Corpus, candidates: Pairs) -> checks.Guarantees:
    return checks.check_guarantees(natural, candidates)


def test_the_corpus_has_what_is_asked_about(guarantees: checks.Guarantees, natural: checks.Corpus) -> None:
    assert guarantees.candidates > 100
    assert guarantees.removed["near"] > 20
    assert guarantees.rescued > 0
    assert {"train", "heldout"} == set(natural.column("split"))


def test_every_removed_document_has_a_kept_leader_that_it_repeats(guarantees: checks.Guarantees) -> None:
    assert guarantees.no_kept_leader == []
    assert guarantees.unlike_leader == []


def test_no_kept_candidates_reach_the_threshold(guarantees: checks.Guarantees) -> None:
    assert guarantees.kept_candidates == []


def test_no_cluster_is_lost_because_its_leader_failed_a_rule(guarantees: checks.Guarantees) -> None:
    assert guarantees.lost == []


def test_no_candidates_straddle_the_split(guarantees: checks.Guarantees) -> None:
    assert guarantees.straddling == []


def test_removal_is_precise_and_complete_per_similarity(natural: checks.Corpus, truth: Pairs) -> None:
    bins = {each.name: each for each in checks.removals(natural, truth)}
    for name in ("below .3", "[.3, .5)", "[.5, .6)", "[.6, .7)", "[.7, .8)"):
        assert bins[name].removed == 0, name
    for name, least in (("[.8, .9)", 0.95), ("[.9, 1)", 0.999), ("1", 1.0)):
        assert bins[name].removed >= least * bins[name].documents, name
    assert sum(each.documents for each in bins.values()) > 500


def test_candidates_follow_the_curve_of_the_bands(natural: checks.Corpus) -> None:
    first = {natural.rows[i]["content_hash"]: i for i in range(len(natural.rows)) if natural.shingles[i]}
    chosen = list(first.values())
    pairs = similar_pairs([natural.shingles[i] for i in chosen])
    texts = [natural.rows[i]["text"] for i in chosen]
    points = curve_over_seeds(texts, pairs, natural.near, range(1, 21), 0.9999)
    assert [point for point in points if not point.agrees] == []
    assert len(points) >= 5


def test_planted_duplicates_are_removed_in_every_script(workspace: str) -> None:
    corpus = checks.read_corpus(workspace, ["planted"])
    of_url = {row["url"]: row for row in corpus.rows}
    candidates = checks.candidate_pairs(corpus)
    assert checks.check_guarantees(corpus, candidates).broken == {}
    met = {frozenset(corpus.column("url")[[a, b]]) for a, b in zip(candidates.left, candidates.right, strict=True)}
    removed: dict[str, int] = {}
    for number, pair in enumerate(planted()):
        urls = [f"https://{pair.script.lower()}.example/{number}/{name}" for name in ("original", "edited")]
        gone = [of_url[url] for url in urls if of_url[url]["kind"]]
        assert len(gone) == (pair.similarity >= 0.8 and frozenset(urls) in met), pair
        if gone:
            assert gone[0]["similarity"] == pair.similarity
            removed[pair.script] = removed.get(pair.script, 0) + 1
        assert gone or pair.similarity < 0.9, pair
    assert set(removed) == set(SYLLABLES)


def test_one_version_of_an_address_stays(workspace: str) -> None:
    versions = checks.read_corpus(workspace, ["versions"])
    assert checks.check_guarantees(versions, checks.candidate_pairs(versions)).broken == {}
    assert sorted(row["kind"] or "" for row in versions.rows) == ["", "", "url", "url"]
    kept = [row["url"] for row in versions.rows if row["kept"]]
    assert VERSIONS[3][0] in kept
    assert len(set(versions.column("split")[:3])) == 1


def test_documents_shorter_than_the_shingle_are_compared_as_a_whole(workspace: str) -> None:
    short = checks.read_corpus(workspace, ["short"])
    texts = {row["doc_id"]: row["text"] for row in short.rows}
    assert not any(short.shingles)
    kept = [row["text"] for row in short.rows if row["kept"]]
    assert sorted(kept) == sorted(set(texts.values()))
    for row in short.rows:
        assert row["kind"] in (None, "exact")
        assert row["kind"] is None or texts[row["leader"]] == row["text"]


def test_a_template_keeps_what_is_unlike_what_is_kept(workspace: str) -> None:
    pages = checks.read_corpus(workspace, ["template"])
    assert len(pages.rows) == TEMPLATE_PAGES
    found = checks.Guarantees()
    checks.check_leaders(pages, found)
    assert found.broken == {}
    kept = np.flatnonzero(pages.column("kept"))
    assert found.removed["near"] == TEMPLATE_PAGES - len(kept)
    between = similar_pairs([pages.shingles[i] for i in kept], pages.near.threshold)
    assert len(between) == 0 or not (pages.keys[kept][between.left] == pages.keys[kept][between.right]).any()


def test_the_guide_is_found_again_for_the_other_architecture(natural: checks.Corpus) -> None:
    pages = [row for row in natural.rows if row["source"] == "guide"]
    if not pages:
        pytest.skip("the Debian installation guide is not fetched (tests/setup.sh does it with apt-get)")
    removed = [row for row in pages if row["kind"]]
    assert len(pages) > 400
    url = {row["doc_id"]: row["url"] for row in natural.rows}
    twins = [row for row in removed if url[row["leader"]].rpartition("/")[2] == row["url"].rpartition("/")[2]]
    assert len(twins) > 0.9 * len(removed) > 100
