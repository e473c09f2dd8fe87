"""Turn signals into decisions: one pure function that `resolve` and `decide` both call."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.errors import ConfigError, did_you_mean, message
from pipelines.contracts.recipe import ProfileUse, Recipe, Rule
from pipelines.contracts.schemas import BASE_GROUP, CLASSIFIER, SIGNAL_GROUPS, group_of_signal
from pipelines.contracts.schemas import signals as signals_schema
from pipelines.ops.profiles import PROFILES


def recipe_rules(recipe: Recipe) -> dict[str, Rule]:
    """Return all rules of a recipe in their order: profiles first, then single rules (which win by name).

    Raises:
        ConfigError: for an unknown profile or signal.
    """
    rules: dict[str, Rule] = {}
    for use in recipe.profiles:
        if use.name not in PROFILES:
            raise ConfigError(
                message(
                    f"profiles: {use.name}",
                    "unknown profile",
                    use.name,
                    "a named profile",
                    did_you_mean(use.name, PROFILES),
                )
            )
        rules.update({name: _narrowed(rule, use) for name, rule in PROFILES[use.name].items()})
    rules.update(recipe.rules)
    every = signals_schema((*SIGNAL_GROUPS, *classifier_groups(recipe)))
    known = (*group_of_signal(), *classifier_groups(recipe))
    for name, rule in rules.items():
        if rule.signal not in known:
            hint = did_you_mean(rule.signal, known)
            raise ConfigError(
                message(f"rules.{name}.signal", "unknown signal", rule.signal, "a column of `signals`", hint)
            )
        is_text = pa.types.is_string(every.field(rule.signal).type)
        if is_text != (rule.equals_any is not None):
            expected = "equals_any" if is_text else "min, max, above or below"
            raise ConfigError(message(f"rules.{name}", "wrong kind of bound", rule.signal, expected))
    return rules


def classifier_groups(recipe: Recipe) -> tuple[str, ...]:
    """Return the groups of the classifiers of a recipe, sorted."""
    return tuple(CLASSIFIER + name for name in sorted(recipe.classifiers))


def signal_groups(recipe: Recipe) -> tuple[str, ...]:
    """Return the groups of signals that a recipe measures: the base, those of its rules, those it asks for.

    Returns:
        Groups in the order of SIGNAL_GROUPS, then those of the classifiers.

    Raises:
        ConfigError: for an unknown group, profile or signal, or a rule on lists or models that are not given.
    """
    for group in recipe.signals:
        if group not in SIGNAL_GROUPS:
            hint = did_you_mean(group, SIGNAL_GROUPS)
            raise ConfigError(message("signals", "unknown group", group, "a group of signals", hint))
    of_signal = group_of_signal()
    rules = recipe_rules(recipe)
    wanted = {BASE_GROUP, *recipe.signals, *(of_signal.get(rule.signal, rule.signal) for rule in rules.values())}
    if recipe.dedup.quality is not None:
        wanted.add(_quality_group(recipe))
    if recipe.lists.paths:
        wanted.add("lists")
    if recipe.perplexity is not None:
        wanted.add("perplexity")
    elif "perplexity" in wanted:
        raise ConfigError(message("perplexity", "no models", "nothing", "a folder of n-gram models (perplexity.path)"))
    _check_lists(recipe, rules)
    return (*(group for group in SIGNAL_GROUPS if group in wanted), *classifier_groups(recipe))


def _quality_group(recipe: Recipe) -> str:
    """Return the group of the signal that survivors are chosen by.

    Raises:
        ConfigError: if there is no such signal, or it is no number.
    """
    assert recipe.dedup.quality is not None
    signal = recipe.dedup.quality.signal
    every = signals_schema((*SIGNAL_GROUPS, *classifier_groups(recipe)))
    numeric = [column.name for column in every if pa.types.is_floating(column.type)]
    if signal not in numeric:
        hint = did_you_mean(signal, numeric)
        where, expected = "dedup.quality.signal", "a column of `signals`"
        raise ConfigError(message(where, "not a numeric signal", signal, expected, hint))
    return group_of_signal().get(signal, signal)


def _check_lists(recipe: Recipe, rules: dict[str, Rule]) -> None:
    """Refuse rules on lists that are not there: they would pass everything, and nobody would notice."""
    given = {
        "url_listed": recipe.lists.url_block,
        "url_words": recipe.lists.url_words,
        "bad_words": recipe.lists.bad_words,
        "bad_words_per_word": recipe.lists.bad_words,
    }
    for name, rule in rules.items():
        if rule.signal in given and not given[rule.signal]:
            expected = f"a list file in lists.{'url_block' if rule.signal == 'url_listed' else rule.signal[:9]}"
            raise ConfigError(message(f"rules.{name}", "a rule on a list that is not given", rule.signal, expected))


def _narrowed(rule: Rule, use: ProfileUse) -> Rule:
    """Apply the conditions of a profile's use; a rule's own narrower conditions stay."""
    languages = use.languages if rule.languages is None else rule.languages
    if use.languages is not None and rule.languages is not None:
        languages = tuple(lang for lang in rule.languages if lang in use.languages)
    return rule.model_copy(update={"languages": languages, "sources": use.sources, "not_sources": use.not_sources})


def evaluate_rules(signals: pa.Table, sources: pa.ChunkedArray | pa.Array, rules: dict[str, Rule]) -> np.ndarray:
    """Say which rules every document fails. What was not measured (null) fails none.

    Args:
        signals: [rows] table of signals.
        sources: [rows] source name of every document.
        rules: rules by name, in the order of their reasons.

    Returns:
        [rows, rules] bool; true where the document fails.
    """
    failed = np.zeros((signals.num_rows, len(rules)), dtype=bool)
    lang = signals["lang"]
    for column, rule in enumerate(rules.values()):
        applies = np.ones(signals.num_rows, dtype=bool)
        if rule.languages is not None:
            applies &= _is_in(lang, rule.languages)
        if rule.sources is not None:
            applies &= _is_in(sources, rule.sources)
        if rule.not_sources:
            applies &= ~_is_in(sources, rule.not_sources)
        failed[:, column] = applies & ~_passes(signals[rule.signal], lang, rule)
    return failed


def rule_signals(rules: dict[str, Rule]) -> list[str]:
    """Return the columns of `signals` that `evaluate_rules` reads."""
    return list(dict.fromkeys(["lang", *(rule.signal for rule in rules.values())]))


def _is_in(column: pa.ChunkedArray | pa.Array, values: tuple[str, ...]) -> np.ndarray:
    return np.asarray(pc.is_in(column, value_set=pa.array(values, column.type)))


def _passes(column: pa.ChunkedArray, lang: pa.ChunkedArray, rule: Rule) -> np.ndarray:
    if column.null_count:
        return _is_within(column, lang, rule) | np.asarray(column.is_null())
    return _is_within(column, lang, rule)


def _is_within(column: pa.ChunkedArray, lang: pa.ChunkedArray, rule: Rule) -> np.ndarray:
    if rule.equals_any is not None:
        return _is_in(column, rule.equals_any)
    values = column.to_numpy().astype(np.float64)
    passes = np.ones(len(values), dtype=bool)
    if rule.min is not None or rule.min_by_language:
        passes &= values >= _bounds(lang, rule.min_by_language, -np.inf if rule.min is None else rule.min)
    if rule.max is not None or rule.max_by_language:
        passes &= values <= _bounds(lang, rule.max_by_language, np.inf if rule.max is None else rule.max)
    if rule.above is not None:
        passes &= values > rule.above
    if rule.below is not None:
        passes &= values < rule.below
    return passes


def _bounds(lang: pa.ChunkedArray, by_language: dict[str, float], otherwise: float) -> np.ndarray | float:
    """Return the bound of every row, or one bound for all."""
    if not by_language:
        return otherwise
    found = np.asarray(pc.index_in(lang, value_set=pa.array(list(by_language), lang.type)).fill_null(-1))
    return np.array([*by_language.values(), otherwise])[found]
