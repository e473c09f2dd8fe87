"""Tags of labels: by CLDR, and every language that has thresholds is reached."""

from __future__ import annotations

import doctest

import pytest
from babel.core import get_global

from pipelines.kernels.language_model import load_model
from pipelines.ops import language_tags
from pipelines.ops.language_tags import SCRIPTS_OF_TAG, TAG_OF_CODE, language_tag
from pipelines.ops.script_words import languages

OURS = {"nob": "no", "nor": "no", "fil": "tl", "tgl": "tl", "hbs": "sh", "pbt": "ps"}


def test_examples() -> None:
    assert doctest.testmod(language_tags).failed == 0


def test_the_table_is_that_of_cldr() -> None:
    aliases = get_global("language_aliases")
    expected = {code: tag for code, tag in aliases.items() if len(code) == 3 and len(tag) == 2}
    assert expected | OURS == TAG_OF_CODE
    likely = get_global("likely_subtags")
    as_cldr = {"no": "nb", "tl": "fil", "sh": "hr"}
    for tag, scripts in SCRIPTS_OF_TAG.items():
        assert likely[as_cldr.get(tag, tag)].split("_")[1] == scripts[0], tag


@pytest.mark.parametrize(
    ("label", "tag"),
    [
        ("zho_Hant", "zh"), ("zh-Hant", "zh"), ("jpn_Jpan", "ja"), ("kor_Hang", "ko"), ("arb_Arab", "ar"), ("pes_Arab", "fa"),
        ("srp_Cyrl", "sr"), ("srp_Latn", "sr-Latn"), ("nob_Latn", "no"), ("yue_Hant", "yue"), ("ace_Arab", "ace"),
        ("und_Grek", "und"), ("zxx_Zzzz", "zxx"), ("eng", "eng"), ("English", "English"), ("nah", "nah"), ("", ""), ("eng_Latn_x", "eng_Latn_x"),
    ],
)  # fmt: skip
def test_tags(label: str, tag: str) -> None:
    assert language_tag(label) == tag


def test_labels_of_lid176_are_tags_and_languages_with_thresholds_are_reached() -> None:
    labels = load_model().labels
    assert [language_tag(label) for label in labels] == list(labels)
    assert set(languages()) <= {*TAG_OF_CODE.values()} & {*labels}
