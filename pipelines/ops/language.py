"""The language of documents and of their paragraphs, by the model and in the tags that the recipe names."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.contracts.errors import ConfigError, did_you_mean, message
from pipelines.contracts.recipe import Language
from pipelines.kernels.arrow_strings import StringBuffers, string_buffers
from pipelines.kernels.language import UNKNOWN, LanguageIdentifier
from pipelines.kernels.language_model import load_model
from pipelines.ops.language_tags import language_tag

_LINE_END = 10


class Identified(NamedTuple):
    """What is known of the language of texts.

    Attributes:
        lang: [rows] tag, `und` if nothing is known or the score is below the floor.
        label: [rows] the model's label without its prefix, `und` if nothing is known.
        score: [rows] float32 probability of the label, 0 if nothing is known.
    """

    lang: pa.Array
    label: pa.Array
    score: pa.Array


class _Loaded(NamedTuple):
    """A model, and the tag of each of its labels and of -1."""

    identifier: LanguageIdentifier
    tags: np.ndarray


@functools.lru_cache(maxsize=2)
def _load(path: str | None, prefix: str, tags: tuple[tuple[str, str], ...]) -> _Loaded:
    """Load a model once per worker process; its word cache lives as long."""
    identifier = LanguageIdentifier.load(path, prefix)
    given = dict(tags)
    of_label = [given.get(label, language_tag(label)) for label in identifier.labels.to_pylist()]
    return _Loaded(identifier, np.array(of_label, object))


def _loaded(language: Language) -> _Loaded:
    return _load(language.model, language.prefix, tuple(sorted(language.tags.items())))


def check_language(language: Language) -> None:
    """Find what is wrong with the model of a recipe before any work.

    Raises:
        ConfigError: if the file is no model that can be read, or `tags` names a label that it does not have.
    """
    if language.model is None and not language.tags:
        return
    labels = load_model(language.model, language.prefix).labels
    for label in language.tags:
        if label not in labels:
            expected = f"one of the {len(labels)} labels of the model"
            raise ConfigError(message("language.tags", "unknown label", label, expected, did_you_mean(label, labels)))


def identify(text: pa.Array, language: Language) -> Identified:
    """Identify the language of every text.

    Args:
        text: [rows] strings without nulls.
        language: the model and its tags.

    Raises:
        ConfigError: if the model cannot be read.
    """
    model, buffers = _loaded(language), string_buffers(text)
    found, score = model.identifier.predict_spans(buffers.data, buffers.offsets[:-1], buffers.offsets[1:])
    tagged = np.where(score.astype(np.float64) >= language.und_below, found, -1)
    labels = model.identifier.labels
    label = labels.take(pa.array(np.where(found < 0, len(labels) - 1, found)))
    return Identified(pa.array(model.tags[tagged], pa.string()), label, pa.array(score, pa.float32()))


def paragraph_languages(text: pa.Array, language: Language) -> dict[str, pa.Array]:
    """Measure in which languages the paragraphs of every text are.

    A paragraph is what stands between two line ends. It counts if it has at least `paragraph_min_bytes` bytes and its
    language scores at least `paragraph_min_score`; bytes are those of the paragraphs that count.

    Args:
        text: [rows] strings without nulls.
        language: the model, its tags, and the two bounds.

    Returns:
        The columns of the group of signals `language`, [rows] each.
    """
    model, buffers = _loaded(language), string_buffers(text)
    starts, ends = line_spans(buffers)
    long = ends - starts >= language.paragraph_min_bytes
    starts, ends = starts[long], ends[long]
    found, score = model.identifier.predict_spans(buffers.data, starts, ends)
    names, number = np.unique(model.tags, return_inverse=True)
    counts = (score.astype(np.float64) >= language.paragraph_min_score) & (model.tags[found] != UNKNOWN)
    row = np.searchsorted(buffers.offsets, starts[counts], "right") - 1
    size = (ends - starts)[counts]
    share = _shares(row, number[found[counts]], size, buffers.rows)
    text_bytes = np.maximum(np.diff(buffers.offsets), 1)
    of_names = np.array([*names, UNKNOWN], object)
    return {
        "lang_paragraphs": pa.array(np.bincount(row, minlength=buffers.rows).astype(np.float64)),
        "lang_paragraph_byte_frac": pa.array(np.bincount(row, size, buffers.rows) / text_bytes),
        "lang_count": pa.array(share.languages),
        "lang_main": pa.array(of_names[share.first], pa.string()),
        "lang_main_byte_frac": pa.array(share.first_frac),
        "lang_second": pa.array(of_names[share.second], pa.string()),
        "lang_second_byte_frac": pa.array(share.second_frac),
    }


def line_spans(buffers: StringBuffers) -> tuple[np.ndarray, np.ndarray]:
    """Return first byte and byte after the last of every line of every text, without line ends; empty ones, too."""
    breaks = np.flatnonzero(buffers.data[: buffers.offsets[-1]] == _LINE_END)
    starts = np.sort(np.concatenate([buffers.offsets[:-1], breaks + 1]), kind="stable")
    ends = np.sort(np.concatenate([buffers.offsets[1:], breaks]), kind="stable")
    return starts, ends


class _Shares(NamedTuple):
    """Per row: distinct languages; number and share of the first and of the second, -1 and 0 where there is none."""

    languages: np.ndarray
    first: np.ndarray
    first_frac: np.ndarray
    second: np.ndarray
    second_frac: np.ndarray


def _shares(row: np.ndarray, number: np.ndarray, size: np.ndarray, rows: int) -> _Shares:
    """Rank the languages of every row by bytes, equal ones by name."""
    pair, place = np.unique(np.stack([row, number]), axis=1, return_inverse=True)
    total = np.bincount(place.reshape(-1), size, pair.shape[1]).astype(np.int64)
    order = np.lexsort((pair[1], -total, pair[0]))
    ranked, name, total = pair[0][order], pair[1][order], total[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    whole = np.maximum(np.bincount(row, size, rows), 1.0)
    columns: list[np.ndarray] = []
    for place_of in (0, 1):
        here = rank == place_of
        best, share = np.full(rows, -1, np.int64), np.zeros(rows)
        best[ranked[here]] = name[here]
        share[ranked[here]] = total[here] / whole[ranked[here]]
        columns += [best, share]
    return _Shares(np.bincount(ranked, minlength=rows).astype(np.float64), *columns)
