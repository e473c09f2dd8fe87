"""Models of any kind that fastText trains predict here as there; files that are broken are refused by name."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import justext
import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts.errors import ConfigError
from pipelines.kernels.language import UNKNOWN, LanguageIdentifier
from pipelines.kernels.language_model import default_model_path, load_model

SMALL = {"dim": 16, "bucket": 6000, "lr": 1.0, "epoch": 8, "thread": 1, "verbose": 0}
LONG = {"epoch": 20}
MODELS = {
    "softmax": ({"loss": "softmax", "minn": 2, "maxn": 4}, {}),
    "softmax, words only": ({"loss": "softmax", "maxn": 0}, {}),
    "softmax, word 2-grams": ({"loss": "softmax", "maxn": 0, "wordNgrams": 2}, {}),
    "hs, word 3-grams": ({"loss": "hs", "minn": 1, "maxn": 3, "wordNgrams": 3}, {}),
    "ova": ({"loss": "ova", "minn": 2, "maxn": 4, **LONG}, {}),
    "ns": ({"loss": "ns", "minn": 2, "maxn": 4, "wordNgrams": 2, **LONG}, {}),
    "softmax, pruned": ({"loss": "softmax", "minn": 2, "maxn": 4}, {"cutoff": 1500, "retrain": True, "qnorm": True}),
    "softmax, pruned to words": ({"loss": "softmax", "maxn": 0}, {"cutoff": 400}),
    "hs, quantised output": ({"loss": "hs", "dim": 10, "minn": 2, "maxn": 4}, {"qout": True, "qnorm": True, "dsub": 3}),
    "ova, quantised output": ({"loss": "ova", "dim": 10, "maxn": 4, "wordNgrams": 2, **LONG}, {"qout": True, "qnorm": True, "dsub": 3}),
    "softmax, quantised output": ({"loss": "softmax", "minn": 2, "maxn": 4}, {"qout": True}),
    "other prefix": ({"loss": "softmax", "minn": 2, "maxn": 4, "label": "lang:"}, {}),
}  # fmt: skip


def words_of_languages() -> dict[str, list[str]]:
    """Return the commonest words of 89 languages, as justext has them."""
    files = sorted((Path(justext.__file__).parent / "stoplists").glob("*.txt"))
    words = {file.stem: file.read_text("utf-8").split()[:400] for file in files}
    return {name: found for name, found in words.items() if len(found) > 150}


def sentence(rng: random.Random, words: list[str], length: int) -> str:
    """Draw words, common ones more often."""
    return " ".join(words[min(int(rng.paretovariate(0.6)) - 1, len(words) - 1)] for _ in range(length))


@pytest.fixture(scope="module")
def documents() -> list[str]:
    rng, words = random.Random(2), list(words_of_languages().values())
    made = [sentence(rng, rng.choice(words), rng.randint(1, 40)) for _ in range(1200)]
    mixed = [f"{a[:100]} {b[:60]}" for a, b in zip(made[::3], made[1::3], strict=False)]
    odd = [
        "",
        "qqqq",
        "xyzzy plugh",
        "__label__English foo",
        "__label__ foo",
        "lang:Thai_0 a b",
        "12 !!! --",
        "中" * 90,
    ]
    return [*made, *mixed, *odd, "a\0b\tc\x0b d", "word " * 500]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train every model of MODELS on made sentences of 356 labels: quantised outputs need 256."""
    import fasttext

    folder = tmp_path_factory.mktemp("models")
    rng = random.Random(1)
    lines = [
        (f"{name}_{part}", sentence(rng, words[part::4], rng.randint(3, 15)))
        for name, words in words_of_languages().items()
        for part in range(4)
        for _ in range(6)
    ]
    rng.shuffle(lines)
    for prefix in ("__label__", "lang:"):
        text = "".join(f"{prefix}{label} {line}\n" for label, line in lines)
        (folder / f"{prefix}.txt").write_text(text, "utf-8")
    for number, (arguments, quantised) in enumerate(MODELS.values()):
        data = str(folder / f"{arguments.get('label', '__label__')}.txt")
        model = fasttext.train_supervised(data, **{**SMALL, **arguments})
        if quantised:
            model.quantize(input=data, thread=1, epoch=1, **quantised)
        model.save_model(str(folder / f"{number}.bin"))
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_equals_fasttext(models: Path, documents: list[str], name: str) -> None:
    import fasttext

    path = models / f"{list(MODELS).index(name)}.bin"
    prefix = MODELS[name][0].get("label", "__label__")
    oracle = fasttext.load_model(str(path))
    found, probabilities = LanguageIdentifier.load(path, prefix).predict(pa.array(documents))
    seen, different = set(), 0
    for text, label, probability in zip(documents, found.to_pylist(), probabilities.tolist(), strict=True):
        if label == UNKNOWN:
            assert probability == 0
            continue
        expected, score = oracle.predict(text, 1)
        assert probability == pytest.approx(score[0], abs=2e-5), text[:80]
        if prefix + label != expected[0]:  # allowed for a tie to the last bits
            near = dict(zip(*oracle.predict(text, 3), strict=True))
            assert near[prefix + label] >= score[0] - 1e-6, text[:80]
            different += 1
        seen.add(label)
    assert different <= 2
    assert len(seen) > 50


def test_nothing_known_means_no_word_and_no_ngram(models: Path, documents: list[str]) -> None:
    names = list(MODELS)
    texts = pa.array(["", "xyzzy plugh", "__label__English", "__label__nope", "the xyzzy"])
    words_only = LanguageIdentifier.load(models / f"{names.index('softmax, word 2-grams')}.bin").predict(texts)
    assert [label == UNKNOWN for label in words_only[0].to_pylist()] == [True, True, True, True, False]
    ngrams = LanguageIdentifier.load(models / f"{names.index('softmax')}.bin").predict(texts)
    assert [label == UNKNOWN for label in ngrams[0].to_pylist()] == [True, False, True, True, False]
    assert [score == 0 for score in ngrams[1].tolist()] == [True, False, True, True, False]


@pytest.mark.parametrize("name", ["softmax", "hs, quantised output", "softmax, word 2-grams"])
def test_long_texts_equal_fasttext(models: Path, name: str) -> None:
    import fasttext

    rng, words = random.Random(5), list(words_of_languages().values())
    texts = [" ".join(sentence(rng, rng.choice(words[:6]), 30) for _ in range(n)) for n in (100, 500, 1500)]
    path = models / f"{list(MODELS).index(name)}.bin"
    oracle = fasttext.load_model(str(path))
    identifier = LanguageIdentifier.load(path)
    for _ in range(2):  # cold and warm
        found, scores = identifier.predict(pa.array(texts))
        for text, label, score in zip(texts, found.to_pylist(), scores.tolist(), strict=True):
            expected = oracle.predict(text, 1)
            assert (f"__label__{label}", score) == (expected[0][0], pytest.approx(expected[1][0], abs=2e-5))


def test_cache_and_spans_change_nothing(models: Path, documents: list[str]) -> None:
    model = load_model(models / "3.bin")
    column = pa.array(documents)
    whole, tiny = LanguageIdentifier(model), LanguageIdentifier(model, cache_rows=16)
    expected = whole.predict(column)
    for identifier in (whole, tiny):
        again = identifier.predict(column)
        assert again[0].equals(expected[0])
        assert np.array_equal(again[1], expected[1])
    joined = " ".join(documents).encode() + bytes(64)
    ends = np.cumsum([len(text.encode()) + 1 for text in documents]) - 1
    starts = np.array([0, *(ends[:-1] + 1)])
    found, scores = tiny.predict_spans(np.frombuffer(joined, np.uint8), starts, ends)
    assert tiny.labels.take(pa.array(found % len(tiny.labels))).equals(expected[0])
    assert np.array_equal(scores, expected[1])


def test_a_model_of_version_11_has_no_ngrams_of_characters(models: Path, documents: list[str], tmp_path: Path) -> None:
    import fasttext

    path = tmp_path / "old.bin"
    data = bytearray((models / "0.bin").read_bytes())
    data[4:8] = struct.pack("<i", 11)
    path.write_bytes(data)
    oracle = fasttext.load_model(str(path))
    found, scores = LanguageIdentifier.load(path).predict(pa.array(documents))
    known = [(t, f, s) for t, f, s in zip(documents, found.to_pylist(), scores.tolist(), strict=True) if f != UNKNOWN]
    assert 1000 < len(known) < len(documents)
    for text, label, score in known[::7]:
        expected = oracle.predict(text, 1)
        assert (f"__label__{label}", score) == (expected[0][0], pytest.approx(expected[1][0], abs=2e-5))


def test_files_that_are_not_models(models: Path, tmp_path: Path) -> None:
    import fasttext

    path = tmp_path / "model.ftz"
    with pytest.raises(ConfigError, match=r"no such file: got .*model\.ftz"):
        load_model(path)
    for content in (b"", b"not a model"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a fastText model"):
            load_model(path)
    data = bytearray((models / "0.bin").read_bytes())
    for position, value, expected in ((4, 13, "unknown version: got 13"), (32, 7, "loss 7"), (8, -3, "dim -3")):
        broken = data.copy()
        broken[position : position + 4] = struct.pack("<i", value)
        path.write_bytes(broken)
        with pytest.raises(ConfigError, match=expected):
            load_model(path)
    broken = data.copy()
    broken[-4:] = struct.pack("<f", float("nan"))
    path.write_bytes(broken)
    with pytest.raises(ConfigError, match="NaN or infinite"):
        load_model(path)
    fasttext.train_unsupervised(str(models / "__label__.txt"), epoch=1, dim=2, bucket=10, thread=1).save_model(
        str(path)
    )
    with pytest.raises(ConfigError, match="not a model of labels: got skipgram; expected a supervised"):
        load_model(path)


@pytest.mark.parametrize("name", ["ftz", "bin"])
def test_a_file_cut_anywhere_is_truncated(models: Path, tmp_path: Path, name: str) -> None:
    whole = (default_model_path() if name == "ftz" else models / "2.bin").read_bytes()
    rng = random.Random(3)
    path = tmp_path / "cut.bin"
    for size in [*(rng.randrange(8, len(whole)) for _ in range(25)), 8, 40, 64, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=f"truncated fastText model: got {size} bytes; expected [0-9]+ or more"):
            load_model(path)


def test_a_file_with_any_changed_byte_loads_or_is_refused(models: Path, tmp_path: Path) -> None:
    whole = (models / "6.bin").read_bytes()
    rng = random.Random(4)
    path = tmp_path / "changed.bin"
    refused = 0
    for _ in range(60):
        changed = bytearray(whole)
        changed[rng.randrange(8, 200) if rng.random() < 0.7 else rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(changed)
        try:
            LanguageIdentifier.load(path).predict(pa.array(["some words of text", "и ещё"]))
        except ConfigError:
            refused += 1
    assert refused > 5
