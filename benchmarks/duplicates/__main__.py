"""Measure the quality of deduplication and write docs/reference/duplicate-quality.md.

python -m benchmarks.duplicates                  # everything, some minutes
python -m benchmarks.duplicates --only natural   # or: planted, templates
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.chain import keep_section, machine
from benchmarks.duplicates import checks, corpora, page
from benchmarks.duplicates.brute_force import Pairs, similar_pairs
from benchmarks.duplicates.curves import (
    BINS,
    CurvePoint,
    bin_of,
    curve_of_independent_pairs,
    curve_over_seeds,
    share_a_band,
)
from benchmarks.duplicates.planted import SYLLABLES, planted_pairs
from benchmarks.duplicates.templates import STAGES
from benchmarks.duplicates.workspace import StageCost, curate_until
from pipelines.contracts.dedup import Near
from recipes.demo.sources import GUIDE_LANGUAGES

PAGE = Path("docs/reference/duplicate-quality.md")
SEEDS = range(1, 21)
_SCRIPTS = {"ru": "Cyrillic", "ja": "Kana and Han", "ko": "Hangul", "zh_CN": "Han"}
_TEMPLATES = ((100_000, 3, 1 << 40), (20_000, 3, 1 << 40), (20_000, 10, 1 << 40), (20_000, 10, 100))
_RECIPE = """
name: duplicates
sources:
  - {name: legal, path: legal.jsonl.gz, format: jsonl}
  - {name: codecs, path: codecs.jsonl.gz, format: jsonl}
  - {name: guide, path: 'guide-*.warc.gz', format: warc}
rules:
  too_long: {signal: gopher_words, max: 1500, sources: [legal, guide]}
split: {heldout_fraction: 0.3, max_heldout_fraction: 0.3, max_component: 100000}
"""


def natural() -> list[str]:
    """Curate the natural corpora and hold every promise and every similarity against brute force."""
    packages = corpora.fetched_guides()
    if packages is None:
        raise SystemExit("the installation guide is not fetched: python -m benchmarks.duplicates.corpora")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpora.write_documents(folder / "legal.jsonl.gz", corpora.legal_texts())
        corpora.write_documents(folder / "codecs.jsonl.gz", corpora.codec_tables())
        corpora.write_guide(packages, folder, GUIDE_LANGUAGES)
        (folder / "recipe.yaml").write_text(_RECIPE)
        curate_until("decide", folder / "recipe.yaml", folder / "ws")
        corpus = checks.read_corpus(str(folder / "ws"))
    candidates, truth = checks.candidate_pairs(corpus), checks.all_similar_pairs(corpus)
    counts = {name: int((corpus.column("source") == name).sum()) for name in ("legal", "codecs", "guide")}
    gone, unlike = checks.one_per_component(corpus, candidates)
    removed = checks.removals(corpus, truth)
    return [
        f"{len(corpus.rows):,} documents: {counts['legal']:,} licences and descriptions, {counts['codecs']} codec tables, "
        f"{counts['guide']:,} pages of the installation guide. {machine()}",
        "",
        *page.guarantee_table(checks.check_guarantees(corpus, candidates)),
        *page.removal_table(removed, corpus.near.threshold),
        f"Keeping the longest of every connected component instead would remove {gone:,} documents, {unlike:,} of them "
        f"({unlike / gone:.0%}) below the threshold to the one that is kept.",
        "",
        *page.natural_script_table(_by_script(corpus, truth)),
        *page.straddling_table(_straddling(corpus, truth)),
        *_natural_curve(corpus),
    ]


def _by_script(corpus: checks.Corpus, truth: Pairs) -> dict[str, list[checks.RemovalBin]]:
    """Return the removals of the guide's pages by script."""
    language = [row["url"].split("/")[4] if row["source"] == "guide" else "" for row in corpus.rows]
    scripts = np.array([_SCRIPTS.get(name, "Latin") if name else "" for name in language])
    return {
        name: checks.removals(corpus, truth, scripts == name) for name in ("Latin", *dict.fromkeys(_SCRIPTS.values()))
    }


def _straddling(corpus: checks.Corpus, truth: Pairs) -> list[tuple[str, int, int]]:
    """Count, per bin, pairs of brute force and those with one side held out."""
    split, bins = corpus.column("split"), bin_of(truth.similarity)
    across = split[truth.left] != split[truth.right]
    return [(name, int((bins == i).sum()), int((across & (bins == i)).sum())) for i, name in enumerate(BINS)]


def _natural_curve(corpus: checks.Corpus) -> list[str]:
    first = {row["content_hash"]: i for i, row in enumerate(corpus.rows) if corpus.shingles[i]}
    chosen = list(first.values())
    pairs = similar_pairs([corpus.shingles[i] for i in chosen])
    points = curve_over_seeds([corpus.rows[i]["text"] for i in chosen], pairs, corpus.near, SEEDS, 0.99)
    return page.curve_table(points, f"99 % interval over {len(SEEDS)} seeds")


def planted(pairs: int) -> list[str]:
    """Search planted pairs of every script and compare with the S-curve."""
    near, rows = Near(), []
    everything: list[tuple[np.ndarray, np.ndarray]] = []
    for script in SYLLABLES:
        similarity, hit = _search_planted(script, pairs, near)
        rows.append((script, curve_of_independent_pairs(similarity, hit, near, 0.99)))
        everything.append((similarity, hit))
    similarity, hit = (np.concatenate(column) for column in zip(*everything, strict=True))
    whole: list[CurvePoint] = curve_of_independent_pairs(similarity, hit, near, 0.99)
    return [
        f"{pairs} pairs per script. {machine()}",
        "",
        *page.script_table(rows, BINS[:-1]),
        *page.curve_table(whole, "99 % interval (Clopper and Pearson)"),
    ]


def _search_planted(script: str, count: int, near: Near) -> tuple[np.ndarray, np.ndarray]:
    """Return similarity and candidacy of the planted pairs with a similarity of at least .3."""
    made = list(planted_pairs(script, count, near))
    numbers = np.arange(0, 2 * count, 2)
    similarity = np.array([pair.similarity for pair in made])
    texts = [text for pair in made for text in (pair.original, pair.edited)]
    hit = share_a_band(texts, Pairs(numbers, numbers + 1, similarity), near)
    return similarity[similarity >= 0.3], hit[similarity >= 0.3]


def templates() -> list[str]:
    """Curate templates, each in a process of its own."""
    runs = []
    for pages, varying, values in _TEMPLATES:
        command = [sys.executable, "-m", "benchmarks.duplicates.templates"]
        arguments = ["--pages", str(pages), "--varying", str(varying), "--values", str(values)]
        done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
        costs = [StageCost(**each) for each in json.loads(done.stdout.splitlines()[-1])]
        told = "unique" if values == 1 << 40 else f"one of {values}"
        runs.append((f"{pages:,}, {varying} of 300 words vary, each {told}", costs))
    return [machine(), "", *page.template_table(runs, STAGES)]


def main() -> None:
    """Measure, print and keep the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="benchmarks.duplicates"
    )
    parser.add_argument("--only", choices=("natural", "planted", "templates"))
    parser.add_argument("--pairs", type=int, default=1000, help="planted pairs per script")
    options = parser.parse_args()
    sections = {"natural": natural, "planted": lambda: planted(options.pairs), "templates": templates}
    for name, make in sections.items():
        if options.only in (None, name):
            lines = make()
            print("\n".join(lines), flush=True)
            keep_section(f"duplicates {name}", lines, PAGE)


if __name__ == "__main__":
    main()
