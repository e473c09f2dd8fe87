"""Words by script: dictionary segmentation, stop words of the document's language, thresholds as data."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.kernels.quality import COLUMNS, quality_statistics
from pipelines.kernels.stop_words import MAX_WORDS, distinct_stop_words
from pipelines.ops.script_words import SEGMENTED_LANGUAGES, languages, script_statistics, segment, stop_words


@pytest.mark.parametrize(
    ("lang", "text", "words"),
    [
        ("zh", "我喜欢自然语言，天气很好。", ["我", "喜欢", "自然", "语言", "，", "天气", "很好", "。"]),
        ("ja", "私は昨日東京へ行きました", ["私", "は", "昨日", "東京", "へ", "行き", "ま", "した"]),
        ("th", "ฉันชอบอ่านหนังสือ ในวันหยุด", ["ฉัน", "ชอบ", "อ่าน", "หนังสือ", "ใน", "วัน", "หยุด"]),
        ("km", "ខ្ញុំចង់ទៅផ្សារ", ["ខ្ញុំ", "ចង់ទៅ", "ផ្សារ"]),
        ("lo", "ຂ້ອຍຢາກໄປຕະຫຼາດ", ["ຂ້ອຍ", "ຢາກ", "ໄປ", "ຕະຫຼາດ"]),
        ("my", "ကျွန်တော်ဈေးသွားချင်တယ်", ["ကျွန်တော်", "ဈေးသွား", "ချင်", "တယ်"]),
    ],
)
def test_scripts_without_spaces_are_segmented_by_dictionary(lang: str, text: str, words: list[str]) -> None:
    assert segment(text, lang) == words


def test_a_character_outside_of_the_basic_plane_does_not_shift_the_words() -> None:
    assert "".join(segment("𠮷野家で𠮷を食べた", "ja")) == "𠮷野家で𠮷を食べた"


def test_rows_stay_in_place_and_only_those_without_spaces_change() -> None:
    texts = pa.array(
        ["The cat and the dog.", "我们喜欢自然语言。", "", "Der Hund und die Katze.", "我们喜欢自然语言。"]
    )
    lang = pa.array(["en", "zh", "und", "de", "en"])
    counts, stops = script_statistics(texts, lang)
    own = quality_statistics(texts)
    assert [counts[name].to_pylist()[i] for i in (0, 2, 3, 4) for name in COLUMNS] == [
        own[name].to_pylist()[i] for i in (0, 2, 3, 4) for name in COLUMNS
    ]
    assert counts["words"].to_pylist()[1] == 5  # 我们 喜欢 自然 语言 。
    assert own["words"].to_pylist()[1] == 2
    assert stops.tolist() == [2, 1, 0, 2, 0]  # the, and; 我们; no list for und; und, die (Der is written large); none


def test_stop_words_are_distinct_and_as_written() -> None:
    lists = {"en": ["the", "of"], "xx": ["a"]}
    text, lang = pa.array(["the The the of", "the", "a the", "a"]), pa.array(["en", "en", "xx", "yy"])
    assert distinct_stop_words(text, lang, lists).tolist() == [2, 1, 1, 0]
    given = pa.array([["of"], [], ["b"], ["a"]], pa.list_(pa.string()))
    assert distinct_stop_words(text, lang, lists, given).tolist() == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="at most 64"):
        distinct_stop_words(text, lang, {"en": [str(i) for i in range(MAX_WORDS + 1)]})


def test_every_language_has_complete_thresholds_and_enough_stop_words() -> None:
    assert len(languages()) == 31  # English and the 30 largest of FineWeb-2
    keys = set(languages()["en"])
    for lang, entry in languages().items():
        assert set(entry) == keys
        assert len(entry["top_ngram_char_frac"]) == 3
        assert len(entry["dup_ngram_char_frac"]) == 6
        assert 0.3 <= entry["lang_score"] <= 0.9
        assert len(set(stop_words()[lang])) == len(stop_words()[lang]) >= 8
        assert all(len(segment(word, lang)) == 1 for word in stop_words()[lang] if lang in SEGMENTED_LANGUAGES)


@pytest.mark.parametrize(
    ("lang", "text", "found"),
    [
        ("hi", "भारत में लोग हैं और यह एक देश है।", 6),  # में हैं और यह एक है: vowel signs belong to their words
        ("fa", "این یک کتاب است و من آن را می\u200cخوانم", 6),  # این یک است و آن را
        ("ar", "ذهب الولد إلى المدرسة مع صديقه في الصباح", 3),
        ("vi", "Đây là một trong những người của chúng tôi", 6),
        ("ru", "Он был в городе и не знал, что это так", 7),
        ("th", "เขาไปที่บ้านและกินข้าวในครัว", 3),
        ("ja", "私は本を読んだ", 2),
    ],
)
def test_stop_words_are_found_in_every_script(lang: str, text: str, found: int) -> None:
    _, stops = script_statistics(pa.array([text]), pa.array([lang]))
    assert stops.tolist() == [found]
