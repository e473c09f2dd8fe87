"""Tags, labels and floors of documents; languages of paragraphs against the definition written out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import Language, ProfileUse, Recipe, Rule, Source
from pipelines.kernels.arrow_strings import string_buffers
from pipelines.ops.language import check_language, identify, line_spans, paragraph_languages
from pipelines.ops.list_files import list_mark
from pipelines.ops.rules import evaluate_rules, recipe_rules
from pipelines.stages.measure import STAGE, measure_signals

SENTENCES = {
    "eng_Latn": "the world is not what it was when we were young and that is how things have to be for all of us",
    "deu_Latn": "die Welt ist nicht mehr was sie war als wir jung waren und so müssen die Dinge für uns alle wohl sein",
    "rus_Cyrl": "мир уже не тот каким он был когда мы были молоды и так всё и должно быть для каждого из нас",
    "cmn_Hani": "世界 已经 不是 我们 年轻 时候 的 样子 了 事情 对 我们 所有 人 来说 就 应该 是 这样 的",
    "hin_Latn": "duniya ab vaisi nahin hai jaisi tab thi jab ham javan the aur ham sab ke liye aisa hi hona chahie",
}


@pytest.fixture(scope="module")
def glot(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train a model with labels of language and script on pieces of SENTENCES."""
    import fasttext

    folder = tmp_path_factory.mktemp("glot")
    lines = [
        f"__label__{label} {' '.join(words[start : start + 5])}\n"
        for label, words in ((label, text.split()) for label, text in SENTENCES.items())
        for start in range(len(words) - 4)
    ]
    (folder / "train.txt").write_text("".join(lines), "utf-8")
    model = fasttext.train_supervised(
        str(folder / "train.txt"),
        dim=8,
        bucket=2000,
        minn=2,
        maxn=3,
        lr=1.0,
        epoch=40,
        loss="softmax",
        thread=1,
        verbose=0,
    )
    model.save_model(str(folder / "glot.bin"))
    return str(folder / "glot.bin")


def recipe(**sections: object) -> Recipe:
    return Recipe(name="t", sources=(Source(name="a", path=("x",), format="text"),), **sections)


def test_labels_become_tags_and_stay_beside_them(glot: str) -> None:
    texts = pa.array([*SENTENCES.values(), ""])
    found = identify(texts, Language(model=glot))
    assert found.label.to_pylist() == [*SENTENCES, "und"]
    assert found.lang.to_pylist() == ["en", "de", "ru", "zh", "hi-Latn", "und"]
    assert found.score.type == pa.float32()
    assert min(found.score.to_pylist()[:5]) > 0.9
    assert found.score[5].as_py() == 0
    other = identify(texts, Language(model=glot, tags={"hin_Latn": "hi", "eng_Latn": "en-GB"}))
    assert other.lang.to_pylist() == ["en-GB", "de", "ru", "zh", "hi", "und"]
    assert other.label.equals(found.label)


def test_a_score_below_the_floor_is_und_with_label_and_score(glot: str) -> None:
    texts = pa.array([SENTENCES["deu_Latn"], "the die", ""])
    low = identify(texts, Language(model=glot)).score[1].as_py()
    for floor, expected in ((low, ["de", "en", "und"]), (np.nextafter(low, 1), ["de", "und", "und"])):
        found = identify(texts, Language(model=glot, und_below=floor))
        known = identify(texts, Language(model=glot))
        assert [lang == "und" for lang in found.lang.to_pylist()] == [lang == "und" for lang in expected]
        assert found.label.equals(known.label)
        assert found.score.equals(known.score)


def test_bounds_by_language_and_profiles_reach_languages_of_a_custom_model(glot: str) -> None:
    score = Rule(signal="lang_score", min_by_language={"de": 2.0, "hi": 2.0, "hi-Latn": 2.0}, min=0.5)
    only_chinese = Rule(signal="script_words", min=1000, languages=("zh",))
    made = recipe(
        language=Language(model=glot),
        profiles=(ProfileUse(name="fineweb2"),),
        rules={"score": score, "chinese": only_chinese, "label": Rule(signal="lang_label", equals_any=("eng_Latn",))},
    )
    text = pa.array([f"{text}. " * 12 for text in SENTENCES.values()], pa.large_string())
    signals = measure_signals(0, 0, text, made)
    rules = recipe_rules(made)
    failed = evaluate_rules(signals, pa.array(["a"] * len(text)), rules)
    column = dict(zip(rules, failed.T.tolist(), strict=True))
    assert signals["lang"].to_pylist() == ["en", "de", "ru", "zh", "hi-Latn"]
    assert column["score"] == [False, True, False, False, True]
    assert column["chinese"] == [False, False, False, True, False]
    assert column["label"] == [False, True, True, True, True]
    assert signals["script_words"][3].as_py() > signals["script_stop_words"][3].as_py() > 0  # ICU's words, Chinese list
    assert [any(column[name][row] for name in rules if name.startswith("fineweb2_dup")) for row in range(5)] == [
        True, True, True, True, False,  # romanised Hindi has no thresholds of its own, nor those of Hindi
    ]  # fmt: skip


TEXT = st.lists(
    st.one_of(st.sampled_from([*SENTENCES.values(), "", " ", "a b", "x"]), st.text(max_size=40)), max_size=6
).map("\n".join)


def expected_columns(text: str, language: Language) -> dict[str, object]:
    """Follow the definition line by line."""
    counted: Counter[str] = Counter()
    paragraphs = 0
    for line in text.split("\n"):
        size = len(line.encode())
        found = identify(pa.array([line]), language)
        tag, score = found.lang[0].as_py(), found.score[0].as_py()
        if size >= language.paragraph_min_bytes and tag != "und" and score >= language.paragraph_min_score:
            counted[tag] += size
            paragraphs += 1
    ranked = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])) + [("und", 0)] * 2
    total = max(sum(counted.values()), 1)
    return {
        "lang_paragraphs": paragraphs,
        "lang_paragraph_byte_frac": sum(counted.values()) / max(len(text.encode()), 1),
        "lang_count": len(counted),
        "lang_main": ranked[0][0],
        "lang_main_byte_frac": ranked[0][1] / total,
        "lang_second": ranked[1][0],
        "lang_second_byte_frac": ranked[1][1] / total,
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, max_size=5), st.integers(1, 120), st.sampled_from([0.0, 0.8, 0.99]))
def test_paragraphs_follow_the_definition(glot: str, texts: list[str], least: int, score: float) -> None:
    language = Language(model=glot, paragraph_min_bytes=least, paragraph_min_score=score)
    found = paragraph_languages(pa.array(texts, pa.large_string()), language)
    assert pa.table(found).to_pylist() == [expected_columns(text, language) for text in texts]


def test_a_mixed_document_with_lid176() -> None:
    english, german, russian = (SENTENCES[label] for label in ("eng_Latn", "deu_Latn", "rus_Cyrl"))
    text = "\n".join([english, german, "1.", "", english, russian, english])
    made = recipe(signals=("language",), rules={"mixed": Rule(signal="lang_second_byte_frac", max=0.2)})
    signals = measure_signals(0, 0, pa.array([text, english], pa.large_string()), made)
    row = {name: column[0] for name, column in signals.to_pydict().items()}
    assert (row["lang_main"], row["lang_second"], row["lang_count"], row["lang_paragraphs"]) == ("en", "ru", 3, 5)
    assert row["lang_second_byte_frac"] == len(russian.encode()) / len((english * 3 + german + russian).encode())
    failed = evaluate_rules(signals, pa.array(["a", "a"]), recipe_rules(made))
    assert failed[:, 0].tolist() == [True, False]


@given(st.lists(st.text("a\n", max_size=8), max_size=6))
def test_lines_of_every_text(texts: list[str]) -> None:
    buffers = string_buffers(pa.array(texts, pa.string()))
    starts, ends = line_spans(buffers)
    lines = [bytes(buffers.data[a:b]).decode() for a, b in zip(starts, ends, strict=True)]
    assert lines == [line for text in texts for line in text.split("\n")]


def test_the_bytes_of_the_model_are_in_the_fingerprint_and_its_place_is_not(glot: str, tmp_path: Path) -> None:
    same, other = tmp_path / "same.bin", tmp_path / "other.bin"
    data = Path(glot).read_bytes()
    same.write_bytes(data)
    other.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    literals = [STAGE.literals(recipe(language=Language(model=str(path)))) for path in (glot, same, other)]
    assert literals[0] == literals[1] != literals[2]
    assert list_mark(glot) in str(literals[0])
    assert STAGE.literals(recipe()) != literals[0]
    ids = [recipe(language=Language(model=path)).recipe_id for path in (glot, str(same))]
    assert ids[0] == ids[1] == recipe().recipe_id != recipe(language=Language(und_below=0.5)).recipe_id


def test_a_model_that_is_absent_or_a_label_that_it_lacks_is_an_error_before_work(glot: str) -> None:
    check_language(Language())
    check_language(Language(model=glot, tags={"hin_Latn": "hi"}))
    with pytest.raises(ConfigError, match="no such file"):
        check_language(Language(model=glot + "x"))
    with pytest.raises(
        ConfigError, match=r"unknown label: got eng_Lat; .*5 labels of the model. Did you mean 'eng_Latn'"
    ):
        check_language(Language(model=glot, tags={"eng_Lat": "en"}))
    with pytest.raises(ValueError, match="tags"):
        Language(tags={"x": "not a tag"})
