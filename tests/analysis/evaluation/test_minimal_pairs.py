import functools
import re
from collections import Counter

import numpy as np
import pytest

from analysis.evaluation.minimal_pairs import Grammar, Phenomenon, WordList, load_grammar, minimal_pairs, pair_items
from analysis.evaluation.text_items import TextScorer, score_text_items
from analysis.models.ngram import NgramTrainer
from pipelines.contracts.errors import ConfigError

LANGUAGES = ("en", "zh")
PER_PHENOMENON = 100
SINGULAR = {"is", "has", "himself", "herself", "this", "that"}
PLURAL = {"are", "have", "themselves", "these", "those"}

grammar_of = functools.cache(load_grammar)


@pytest.fixture(scope="module")
def pairs():
    return {language: minimal_pairs(grammar_of(language), PER_PHENOMENON) for language in LANGUAGES}


def _tokens(text):
    """English words and signs; Chinese characters."""
    return re.findall(r"[a-zA-Z]+|[^a-zA-Z\s]", text)


def _of(pairs, language, *phenomena):
    found = [pair for pair in pairs[language] if pair.phenomenon in phenomena]
    assert found
    return found


def _changed(pair):
    """The one token that differs, in the good and in the bad sentence."""
    good, bad = _tokens(pair.good), _tokens(pair.bad)
    assert len(good) == len(bad), pair
    (change,) = [(a, b) for a, b in zip(good, bad, strict=True) if a != b]
    return change


@functools.cache
def _words(language, kind):
    words = grammar_of(language).words[kind]
    rows = [row.split(" ") if len(words.forms) > 1 else [row] for row in words.rows]
    return [dict(zip(words.forms, row, strict=True)) for row in rows]


def _number(sentence, *kinds):
    """The number of the first noun of the lists, by the lists' own forms."""
    forms = {noun[form]: form for kind in kinds for noun in _words("en", kind) for form in ("sg", "pl")}
    return next(forms[token] for token in _tokens(sentence) if token in forms)


def test_there_are_enough_phenomena_and_pairs(pairs):
    counts = {language: Counter(pair.phenomenon for pair in pairs[language]) for language in LANGUAGES}
    assert len(counts["en"]) >= 12
    assert len(counts["zh"]) >= 6
    assert all(PER_PHENOMENON <= n < PER_PHENOMENON + 4 for found in counts.values() for n in found.values())
    for language in LANGUAGES:
        assert len({(pair.good, pair.bad) for pair in pairs[language]}) == len(pairs[language])
        assert not {pair.good for pair in pairs[language]} & {pair.bad for pair in pairs[language]}
        assert len({pair.pair_id for pair in pairs[language]}) == len(pairs[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_pairs_depend_on_the_seed_only_and_more_begin_with_fewer(pairs, language):
    grammar = grammar_of(language)
    assert minimal_pairs(grammar, PER_PHENOMENON) == pairs[language]
    assert minimal_pairs(grammar, PER_PHENOMENON, seed=1) != pairs[language]
    few = minimal_pairs(grammar, 10)
    for name in grammar.phenomena:
        mine = [pair for pair in few if pair.phenomenon == name]
        assert mine == [pair for pair in pairs[language] if pair.phenomenon == name][: len(mine)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_mirrored_phenomena_hold_the_same_words_on_both_sides(pairs, language):
    for name, phenomenon in grammar_of(language).phenomena.items():
        mine = [pair for pair in pairs[language] if pair.phenomenon == name]
        good = Counter(token for pair in mine for token in _tokens(pair.good))
        bad = Counter(token for pair in mine for token in _tokens(pair.bad))
        assert (good == bad) == phenomenon.mirrored, name


def test_agreement_goes_with_the_head_noun(pairs):
    agreement = ("subject_verb_be", "agreement_preposition", "agreement_relative", "anaphor_number")
    for pair in _of(pairs, "en", *agreement):
        number = _number(pair.good, "person", "object", "male", "female")
        right, wrong = _changed(pair)
        assert (right in SINGULAR, right in PLURAL) == (number == "sg", number == "pl"), pair
        assert (wrong in SINGULAR, wrong in PLURAL) == (number == "pl", number == "sg"), pair
    for pair in _of(pairs, "en", "determiner_noun", "determiner_adjective_noun"):
        right, wrong = _changed(pair)
        assert (right in SINGULAR) == (_number(pair.good, "object") == "sg") == (wrong in PLURAL), pair
    for pair in _of(pairs, "en", "subject_verb_present"):
        right, wrong = _changed(pair)
        assert right.endswith("s") == (_number(pair.good, "person") == "sg") == (not wrong.endswith("s")), pair


def test_attractors_differ_in_number_from_the_head(pairs):
    forms = {noun[form]: form for kind in ("person", "object") for noun in _words("en", kind) for form in ("sg", "pl")}
    for pair in _of(pairs, "en", "agreement_preposition", "agreement_relative"):
        head, other = (forms[token] for token in _tokens(pair.good) if token in forms)
        assert head != other


def test_reflexives_have_the_gender_of_the_subject(pairs):
    males = {noun["sg"] for noun in _words("en", "male")}
    for pair in _of(pairs, "en", "anaphor_gender", "binding"):
        expected = ("himself", "herself") if _tokens(pair.good)[1] in males else ("herself", "himself")
        assert _changed(pair) == expected, pair
    males = tuple(noun["n"] for noun in _words("zh", "male"))
    for pair in _of(pairs, "zh", "reflexive_gender"):
        assert _changed(pair) == (("他", "她") if pair.good.startswith(males) else ("她", "他")), pair


def test_participles_follow_have(pairs):
    participles = {verb["part"] for verb in _words("en", "irregular")}
    for pair in _of(pairs, "en", "irregular_forms"):
        right, wrong = _changed(pair)
        assert (right in participles) == (" has " in pair.good) == (wrong not in participles), pair


def test_polarity_items_are_licensed_in_their_own_clause(pairs):
    for pair in _of(pairs, "en", "npi_licensor"):
        right, wrong = _changed(pair)
        assert right == "No"
        assert wrong in ("Some", "Most")
        assert " ever " in pair.good
    for pair in _of(pairs, "en", "npi_scope"):
        assert " has not ever " in pair.good
        assert re.search(r"that has not \w+ has ever ", pair.bad), pair


def test_islands_reorder_the_same_words(pairs):
    for pair in _of(pairs, "en", "adjunct_island", "coordinate_island"):
        assert sorted(_tokens(pair.good)) == sorted(_tokens(pair.bad))
        assert pair.good != pair.bad
    for pair in _of(pairs, "en", "adjunct_island"):
        assert re.search(r"before \w+ing the \w+\?$", pair.good), pair
        assert re.search(r"before \w+ing\?$", pair.bad), pair


def test_gaps_objects_and_case(pairs):
    for pair in _of(pairs, "en", "filler_gap"):
        gap = re.search(r" the \w+ \w+\.$", pair.good) is not None
        assert _changed(pair) == (("what", "that") if gap else ("that", "what")), pair
    transitive = {verb["past"] for verb in _words("en", "need")}
    for pair in _of(pairs, "en", "argument_structure"):
        right, wrong = _changed(pair)
        assert (right in transitive) == (len(_tokens(pair.good)) > 4) == (wrong not in transitive), pair
    for pair in _of(pairs, "en", "pronoun_case"):
        right, _wrong = _changed(pair)
        assert (right in ("he", "they")) == (_tokens(pair.good)[1] == right), pair


def test_classifiers_are_those_of_their_nouns(pairs):
    classifier = {thing["n"]: thing["cl"] for thing in _words("zh", "thing")}
    for pair in _of(pairs, "zh", "classifier", "classifier_adjective"):
        noun = max((noun for noun in classifier if pair.good.endswith(noun + "。")), key=len)
        right, wrong = _changed(pair)
        assert right == classifier[noun] != wrong, pair


def test_chinese_function_words_are_where_they_belong(pairs):
    for pair in _of(pairs, "zh", "aspect_progressive"):
        assert _changed(pair) == (("着", "了") if "正在" in pair.good else ("了", "着"))
    for pair in _of(pairs, "zh", "aspect_negation"):
        assert _changed(pair) == ("过", "了")
    for pair in _of(pairs, "zh", "ba_negation"):
        assert "没有把" in pair.good
        assert "没有把" not in pair.bad
        assert sorted(pair.good) == sorted(pair.bad)
    eaters = tuple(person["n"] for person in _words("zh", "person"))
    for pair in _of(pairs, "zh", "ba_bei"):
        assert _changed(pair) == (("把", "被") if pair.good.startswith(eaters) else ("被", "把"))
    for pair in _of(pairs, "zh", "question_particle"):
        assert _changed(pair) == (("呢", "吗") if "去没去" in pair.good else ("吗", "呢"))
    for pair in _of(pairs, "zh", "negation_time"):
        past = any(word["when"] in pair.good for word in _words("zh", "past"))
        assert _changed(pair) == (("没", "不") if past else ("不", "没"))
    for pair in _of(pairs, "zh", "locative_order"):
        assert pair.good.index("在") < pair.bad.index("在")
        assert sorted(pair.good) == sorted(pair.bad)
    alone = {verb["v"] for verb in _words("zh", "lone")}
    for pair in _of(pairs, "zh", "bei_argument"):
        assert any(verb in pair.good for verb in alone) == ("被" not in pair.good), pair


@pytest.fixture(scope="module", params=LANGUAGES)
def scores(request, pairs):
    """Unigram and 3-gram of grammatical sentences of other draws, asked for these pairs."""
    language = request.param
    training = [_tokens(pair.good) for pair in minimal_pairs(grammar_of(language), 200, seed=7)]
    vocabulary = {token: 1 + i for i, token in enumerate(sorted({t for text in training for t in text}))}
    unknown = len(vocabulary) + 1

    def encode(text):
        return np.array([vocabulary.get(token, unknown) for token in _tokens(text)], np.int64)

    texts = [np.array([vocabulary[token] for token in text] + [0]) for text in training]
    rows = np.concatenate([[0], *texts])[None]
    items = pair_items(language, PER_PHENOMENON)
    found = {}
    for order in (1, 3):
        model = NgramTrainer(order, unknown + 1, 0).train(rows)
        found[order] = score_text_items(TextScorer(model, encode, 0, 64), items).to_pandas()
    return language, found


def test_a_3_gram_learns_local_grammar_and_not_what_is_far_away(scores):
    language, found = scores
    accuracy = found[3].groupby("part")["correct"].mean()
    local = {
        "en": ["determiner_noun", "irregular_forms", "npi_licensor", "pronoun_case"],
        "zh": ["classifier", "aspect_negation", "ba_negation", "ba_bei", "locative_order"],
    }[language]
    assert (accuracy[local] > 0.75).all(), accuracy[local]
    distant = {"en": ["agreement_relative", "binding"], "zh": ["question_particle"]}[language]
    assert (accuracy[distant] < 0.75).all(), accuracy[distant]


def test_a_unigram_gains_nothing_from_mirrored_pairs(scores):
    language, found = scores
    mirrored = [name for name, one in grammar_of(language).phenomena.items() if one.mirrored]
    margins = found[1].groupby("part")["margin_nats"].mean()[mirrored]
    assert np.allclose(margins, 0, atol=1e-9), margins


def _grammar(template, rows=("boy boys", "girl girls")):
    words = {"noun": WordList(forms=("sg", "pl"), rows=rows)}
    return Grammar(language="en", words=words, phenomena={"p": Phenomenon(says="", templates=(template,))})


@pytest.mark.parametrize(("template", "wanted", "fault"), [
    ("The [{noun1.sg}|{noun1.du}] is", 1, r"template of p: no such word.*noun1\.du.*noun\.sg, noun\.pl"),
    ("The {noun1.sg} is", 1, "no contrast"),
    ("The [{noun1.sg}|{noun1.pl}] is", 3, "too few for the pairs wanted.*2 pairs"),
    ("The {noun1.sg} {noun2.sg} [{noun3.sg}|x]", 1, "too few for a sentence"),
])  # fmt: skip
def test_a_wrong_template_is_named(template, wanted, fault):
    with pytest.raises(ConfigError, match=fault):
        minimal_pairs(_grammar(template), wanted)


def test_a_language_without_templates_is_refused():
    with pytest.raises(ConfigError, match="no such language: got de; expected en, zh"):
        load_grammar("de")
