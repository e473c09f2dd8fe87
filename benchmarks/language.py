"""Language identification against fastText on the demo corpora: `python -m benchmarks.language`.

Equality and speed of lid.176 and of models that are trained here, what low scores are worth, and how well the
languages of paragraphs are found in documents that are put together from two languages.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.chain import keep_section, machine
from pipelines.contracts.ids import fraction
from pipelines.contracts.recipe import Language
from pipelines.kernels.language import UNKNOWN, LanguageIdentifier
from pipelines.kernels.language_model import default_model_path
from pipelines.ops.language import identify, paragraph_languages

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "language.md"
PER_SOURCE = 1000
PASSES = 2
_ISO = {
    "cs": "ces", "de": "deu", "en": "eng", "es": "spa", "fr": "fra", "it": "ita", "ja": "jpn", "ko": "kor", "nl": "nld",
    "pt": "por", "ru": "rus", "sv": "swe", "vi": "vie", "zh": "zho",
}  # fmt: skip
_SCRIPTS = {"ja": "Jpan", "ko": "Kore", "ru": "Cyrl", "zh": "Hans"}
_MODELS = {
    "softmax": ({"loss": "softmax"}, {}),
    "softmax, word 2-grams": ({"loss": "softmax", "wordNgrams": 2}, {}),
    "hs": ({"loss": "hs"}, {}),
    "ova": ({"loss": "ova"}, {}),
    "ns": ({"loss": "ns"}, {}),
    "softmax, quantised, pruned, retrained, norms": ({"loss": "softmax"}, {"cutoff": 20_000, "retrain": True, "qnorm": True}),
    "hs, quantised": ({"loss": "hs"}, {}),
}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A text, where it comes from, and the language that its source declares (the translation it belongs to)."""

    source: str
    text: str
    declared: str | None


def declared_language(source: str, url: str | None) -> str | None:
    """Return the language that a source of the demo corpora declares."""
    if source in ("zh-news", "zh-reviews"):
        return "zh"
    if source.startswith("web-"):
        parts = (url or "").split("/")
        return parts[4 if source == "web-guide" else 3][:2] if len(parts) > 4 else None
    return None if source == "code" else "en"


def sample(workspace: Path) -> list[Document]:
    """Draw up to PER_SOURCE documents of every source by hash."""
    by_source: dict[str, dict[str, Document]] = {}
    for path in sorted((workspace / "documents").glob("part-*.parquet")):
        for row in pq.read_table(path, columns=["source", "url", "text"]).to_pylist():
            found = Document(row["source"], row["text"], declared_language(row["source"], row["url"]))
            by_source.setdefault(found.source, {})[found.text] = found
    drawn = []
    for documents in by_source.values():
        drawn += sorted(documents.values(), key=lambda document: fraction(document.text, "language"))[:PER_SOURCE]
    return [document for document in drawn if "</s>" not in document.text]


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return CPU seconds of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def against_fasttext(path: Path, texts: list[str]) -> str:
    """Compare a model with fastText on texts; a row of a table."""
    import fasttext

    oracle = fasttext.load_model(str(path))
    lines = [text.replace("\n", " ") for text in texts]
    column = pa.array(texts, pa.large_string())
    LanguageIdentifier.load(path).predict(column.slice(0, 5))
    ours, theirs = [], []
    for _ in range(PASSES):
        identifier = LanguageIdentifier.load(path)  # with an empty cache
        ours.append(cpu_seconds(lambda one=identifier: one.predict(column)))
        theirs.append(cpu_seconds(lambda: [oracle.predict(line, 1) for line in lines]))
    labels, scores = identifier.predict(column)
    different, gap, unknown = 0, 0.0, 0
    for line, label, score in zip(lines, labels.to_pylist(), scores.tolist(), strict=True):
        expected = oracle.predict(line, 1)
        if label == UNKNOWN:
            unknown += 1
            continue
        different += expected[0][0] != f"__label__{label}"
        gap = max(gap, abs(score - float(expected[1][0])))
    size = sum(len(text.encode()) for text in texts)
    speed = [float(np.mean(seconds)) / size * 2200 * 1e6 for seconds in (ours, theirs)]
    return f"{len(texts):,} | {different} | {gap:.1e} | {unknown} | {speed[0]:.0f} | {speed[1]:.0f} | {speed[1] / speed[0]:.1f} |"


def trained_models(documents: list[Document], folder: Path) -> list[tuple[str, Path]]:
    """Train a model of every kind on lines of half of the documents, with labels of language and script."""
    import fasttext

    lines = []
    for document in documents:
        code = _ISO.get(document.declared or "")
        if code is None or fraction(document.text, "half") >= 0.5:
            continue
        label = f"{code}_{_SCRIPTS.get(document.declared or '', 'Latn')}"
        lines += [f"__label__{label} {line[:400]}\n" for line in document.text.split("\n")[:40]]
    small = {"dim": 16, "minn": 2, "maxn": 4, "bucket": 100_000, "epoch": 3, "lr": 0.5, "thread": 1, "verbose": 0}
    data, wide_data = str(folder / "train.txt"), str(folder / "wide.txt")
    Path(data).write_text("".join(lines), "utf-8")
    found = []
    for name, (arguments, quantised) in _MODELS.items():
        model = fasttext.train_supervised(data, **{**small, **arguments})
        if "quantised" in name:
            model.quantize(input=data, thread=1, epoch=1, **quantised)
        found.append((name, folder / f"{len(found)}.bin"))
        model.save_model(str(found[-1][1]))
    names = "".join(f"__label__x{number}_Latn filler{number}\n" for number in range(2088))
    Path(wide_data).write_text("".join(lines[::10]) + names, "utf-8")
    shape = {**small, "dim": 256, "minn": 2, "maxn": 5, "epoch": 1, "lr": 0.5, "loss": "softmax"}
    found.append(("softmax, 256 dimensions, 2,102 labels (the shape of GlotLID)", folder / "wide.bin"))
    fasttext.train_supervised(wide_data, **shape).save_model(str(found[-1][1]))
    return found


def score_lines(documents: list[Document]) -> list[str]:
    """Say how often the tag is the declared language, by score."""
    known = [document for document in documents if document.declared]
    found = identify(pa.array([document.text for document in known], pa.large_string()), Language())
    right = np.array([lang == d.declared for lang, d in zip(found.lang.to_pylist(), known, strict=True)])
    score = found.score.to_numpy()
    lines = ["| score | documents | share | of the declared language |", "|---|---|---|---|"]
    for low, high in ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.1)):
        here = (score >= low) & (score < high)
        share = f"{right[here].mean():.3f}" if here.any() else ""
        lines.append(f"| {low:g} to {min(high, 1):g} | {here.sum():,} | {here.mean():.4f} | {share} |")
    texts = [line for document in documents for line in document.text.split("\n") if line.strip()]
    unknown = Counter(identify(pa.array(texts, pa.large_string()), Language()).lang.to_pylist())[UNKNOWN]
    return [
        *lines,
        "",
        f"`und`: {found.lang.to_pylist().count(UNKNOWN)} of these documents; {unknown} of their {len(texts):,} lines.",
    ]


def mixed_documents(documents: list[Document], count: int = 400) -> list[tuple[str, str, str, float, bool]]:
    """Put 10 to 40 % of another language into pages of the installation guide; (text, main, other, share, tail)."""
    pages: dict[str, list[str]] = {}
    for document in documents:
        if document.source == "web-guide" and len(document.text) > 1500:
            (tag,) = identify(pa.array([document.text]), Language(und_below=0.8)).lang.to_pylist()
            if tag == document.declared:
                pages.setdefault(tag, []).append(document.text)
    rng = np.random.default_rng(0)
    languages = sorted(language for language, texts in pages.items() if len(texts) >= 5)
    mixed = []
    for _ in range(count):
        main, other = rng.choice(languages, 2, replace=False)
        base, donor = (
            [line for line in pages[lang][rng.integers(len(pages[lang]))].split("\n") if line] for lang in (main, other)
        )
        size, wanted, taken = sum(len(line.encode()) for line in base), rng.choice([0.1, 0.2, 0.3, 0.4]), []
        while donor and sum(len(line.encode()) for line in taken) < wanted / (1 - wanted) * size:
            taken.append(donor.pop(0))
        share = sum(len(line.encode()) for line in taken)
        tail = bool(rng.integers(2))
        for line in taken:
            base.insert(len(base) if tail else int(rng.integers(len(base) + 1)), line)
        mixed.append((str(rng.choice(["\n", "\n\n"])).join(base), str(main), str(other), share / (size + share), tail))
    return mixed


def paragraph_lines(documents: list[Document]) -> list[str]:
    """Measure how well the second language is found, and how often there is one where there should be none."""
    mixed = mixed_documents(documents)
    found = pa.table(paragraph_languages(pa.array([m[0] for m in mixed], pa.large_string()), Language())).to_pylist()
    right = [{f["lang_main"], f["lang_second"]} == {m[1], m[2]} for f, m in zip(found, mixed, strict=True)]
    error = [
        abs((f["lang_second_byte_frac"] if f["lang_main"] == m[1] else f["lang_main_byte_frac"]) - m[3])
        for f, m, ok in zip(found, mixed, right, strict=True)
        if ok
    ]
    lines = [
        f"{len(mixed)} documents of two languages: both named {np.mean(right):.3f}, mean error of the share {np.mean(error):.3f}.",
        "",
        "| source, declared language | documents | second language ≥ 10 % | bytes in counted paragraphs | us per 2.2 KB |",
        "|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[str]] = {}
    for document in documents:
        if document.source != "web-guide" and document.declared:
            groups.setdefault((document.source, document.declared), []).append(document.text)
    for (source, language), texts in sorted(groups.items()):
        column = pa.array(texts, pa.large_string())
        seconds = cpu_seconds(lambda one=column: paragraph_languages(one, Language()))
        columns = paragraph_languages(column, Language())
        second = columns["lang_second_byte_frac"].to_numpy() >= 0.1
        share = columns["lang_paragraph_byte_frac"].to_numpy().mean()
        speed = seconds / sum(len(text.encode()) for text in texts) * 2200 * 1e6
        lines.append(f"| {source}, {language} | {len(texts):,} | {second.mean():.3f} | {share:.2f} | {speed:.0f} |")
    return lines


def main() -> None:
    """Measure and keep the results in the reference page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"), help="curated demo workspace")
    documents = sample(parser.parse_args().workspace)
    texts = [document.text for document in documents]
    head = [
        "| documents | labels that differ | greatest difference of p | und | us per 2.2 KB | fastText | ratio |",
        "|---" * 7 + "|",
    ]
    lines = [
        f"{len(documents):,} documents of the demo corpora, at most {PER_SOURCE:,} of a source; CPU time, caches empty, mean of {PASSES};",
        f"shared machine; {machine()}",
        "",
        "lid.176.ftz:",
        "",
        *head,
        f"| {against_fasttext(default_model_path(), texts)}",
        "",
        "Models trained on half of these documents, asked about the other half:",
        "",
        f"| model {head[0]}",
        f"|---{head[1]}",
    ]
    rest = [document.text for document in documents if fraction(document.text, "half") >= 0.5]
    with tempfile.TemporaryDirectory() as folder:
        for name, path in trained_models(documents, Path(folder)):
            lines.append(f"| {name} | {against_fasttext(path, rest)}")
            print(lines[-1], flush=True)
    lines += ["", "Scores of lid.176 where the source declares a language:", "", *score_lines(documents)]
    lines += ["", "Paragraphs:", "", *paragraph_lines(documents)]
    print("\n".join(lines))
    keep_section("language", lines, PAGE)


if __name__ == "__main__":
    main()
