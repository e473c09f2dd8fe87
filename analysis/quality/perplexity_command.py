"""The command `perplexity train`: one n-gram model per language, with terciles measured on reference texts."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from analysis.quality.ngram_training import estimate, make_stream
from analysis.quality.texts import Selection, choose
from pipelines.contracts import ids, storage
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import load_bpe
from pipelines.kernels.ngram_lm import NORMALISATION, Description, NgramLanguageModel, build_table, normalise

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class NgramTraining:
    """Settings of the models.

    Attributes:
        order: tokens of the longest n-gram.
        vocab_size: tokens of the byte-level BPE that every model trains for itself.
        tokenizer_mb: text that the BPE is trained on.
        max_mb: text that a model is estimated from; of more, the documents with the least hash are taken.
        prune: n-grams of order 3 and more with a count of at most this go.
        reference: share of the texts, by hash of their group, that terciles are measured on if no others are named.
        min_documents: least training texts of a language; languages with fewer get no model.
        min_reference: least reference texts of a language.
        languages: the only languages that get a model; empty for all that have enough texts.
    """

    order: int = 5
    vocab_size: int = 8192
    tokenizer_mb: float = 16.0
    max_mb: float = 64.0
    prune: int = 1
    reference: float = 0.2
    min_documents: int = 50
    min_reference: int = 30
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class PerplexityJob:
    """What to train from, and where to.

    Attributes:
        train: texts that models are estimated from.
        reference: texts that terciles are measured on, less those of the groups trained on; None for a share of `train`.
        workspace: what the conditions are about.
        out: folder of the models.
        language: language of the texts in files.
        text_field: field of the text in JSONL files.
        max_documents: most texts of either kind.
        training: settings.
    """

    train: Selection
    reference: Selection | None
    workspace: str | None
    out: str
    language: str | None
    text_field: str
    max_documents: int
    training: NgramTraining


def run_perplexity_train(job: PerplexityJob) -> dict[str, Any]:
    """Estimate, measure, write `<language>.arrow` for every language and `card.json`; return the card.

    Raises:
        ConfigError: for wrong conditions, or files without a language.
        InputError: for missing files, or if no language has enough texts.
    """
    console = Console(stderr=True)
    options = {"text_field": job.text_field, "max_documents": job.max_documents, "language": job.language}
    if (job.train.files or (job.reference and job.reference.files)) and job.language is None:
        raise ConfigError(message("--language", "texts without a language", "nothing", "the language of the files"))
    train = choose(job.train, job.workspace, **options)
    reference = None if job.reference is None else choose(job.reference, job.workspace, **options)
    train_table, reference_table = _deal(train.table, None if reference is None else reference.table, job.training)
    used, skipped = _languages(train_table, reference_table, job.training)
    card: dict[str, Any] = {
        "settings": {**asdict(job.training), "languages": list(job.training.languages)},
        "normalisation": NORMALISATION,
        "perplexity": "exp(-ln p / tokens), byte-level BPE tokens, the end of the document counts as one",
        "train": {"inputs": train.inputs, "counts": train.counts, "faults": train.faults},
        "reference": None if reference is None else {"inputs": reference.inputs, "counts": reference.counts},
        "languages": {},
        "too_few_texts": skipped,
    }
    for lang in used:
        start = time.perf_counter()
        texts = [table.filter(pc.equal(table["lang"], lang)) for table in (train_table, reference_table)]
        model, about = train_language(lang, *texts, job.training)
        path = storage.join(job.out, f"{lang}.arrow")
        model.save(path)
        about["model"] = {"file": f"{lang}.arrow", "sha256": hashlib.sha256(storage.read_bytes(path)).hexdigest()}
        card["languages"][lang] = about
        console.print(
            f"{lang}: {about['train_documents']:,} texts, {about['train_tokens']:,} tokens, {sum(about['entries']):,} "
            f"n-grams, terciles {about['head_max']:.1f} and {about['middle_max']:.1f} over {about['reference_documents']:,} "
            f"texts, {time.perf_counter() - start:.1f} s"
        )
    storage.write_bytes(storage.join(job.out, "card.json"), (json.dumps(card, indent=1) + "\n").encode())
    return card


def _deal(train: pa.Table, reference: pa.Table | None, training: NgramTraining) -> tuple[pa.Table, pa.Table]:
    """Part texts for training from reference texts; no group is in both."""
    if reference is None:
        held = pa.array(
            [ids.fraction(group, "reference") < training.reference for group in train["group"].to_pylist()], pa.bool_()
        )
        return train.filter(pc.invert(held)), train.filter(held)
    groups = pc.unique(train["group"].combine_chunks())
    return train, reference.filter(pc.invert(pc.is_in(reference["group"], value_set=groups)))


def _languages(train: pa.Table, reference: pa.Table, training: NgramTraining) -> tuple[list[str], dict[str, list[int]]]:
    """Return the languages with enough texts, and for the others their training and reference texts."""
    count = [{v["values"]: v["counts"] for v in pc.value_counts(t["lang"]).to_pylist()} for t in (train, reference)]
    wanted = training.languages or tuple(sorted(count[0]))
    have = {lang: [one.get(lang, 0) for one in count] for lang in sorted(wanted)}
    enough = [
        lang for lang, (a, b) in have.items() if a >= training.min_documents and b >= training.min_reference
    ]  # fmt: skip
    lacking = {lang: numbers for lang, numbers in have.items() if lang not in enough}
    expected = f"at least {training.min_documents} to train on and {training.min_reference} to measure terciles on"
    if not enough or (training.languages and lacking):
        raise InputError(message("languages", "too few texts (training, reference)", lacking, expected))
    return enough, lacking


def train_language(
    lang: str, train: pa.Table, reference: pa.Table, training: NgramTraining
) -> tuple[NgramLanguageModel, dict[str, Any]]:
    """Train the tokenizer and the model of one language, and measure its terciles.

    Args:
        lang: language.
        train: key and text of the texts to estimate from.
        reference: text of the texts to measure terciles on.
        training: settings.
    """
    text = train["text"].take(pa.array(_least_hashes(train, training.max_mb * 1e6))).combine_chunks()
    tokenizer_json = _train_tokenizer(text, training)
    body = json.loads(tokenizer_json)
    size, end = len(body["model"]["vocab"]), body["model"]["vocab"][END_OF_TEXT]
    prune = tuple(0 if n < 3 else training.prune for n in range(1, training.order + 1))
    tokens, offsets = BytePairEncoder(load_bpe(tokenizer_json)).encode(normalise(text))
    entries = estimate(*make_stream(tokens, offsets, training.order, end), training.order, size, prune)
    table = build_table(entries.keys, entries.log_probability, entries.log_back_off)
    description = Description(lang, training.order, size, end, 0.0, 0.0, entries.by_order)
    perplexity = NgramLanguageModel(description, tokenizer_json, table).perplexity(reference["text"].combine_chunks())
    head, middle = (float(limit) for limit in np.quantile(perplexity, (1 / 3, 2 / 3)))
    description = Description(lang, training.order, size, end, head, middle, entries.by_order)
    about = {
        "train_documents": len(text), "train_bytes": int(pc.sum(pc.binary_length(text)).as_py()),
        "train_tokens": len(tokens) + len(text), "entries": list(entries.by_order), "vocab_size": size,
        "reference_documents": len(perplexity), "head_max": head, "middle_max": middle,
        "reference_median": float(np.median(perplexity)),
    }  # fmt: skip
    return NgramLanguageModel(description, tokenizer_json, table), about


def _least_hashes(table: pa.Table, most_bytes: float) -> np.ndarray:
    """Return the rows with the least hash of their key, up to a size, in the order of the hashes."""
    order = np.argsort([ids.fraction(key, "train") for key in table["key"].to_pylist()], kind="stable")
    sizes = np.cumsum(pc.binary_length(table["text"]).to_numpy()[order])
    return order[: max(1, int(np.searchsorted(sizes, most_bytes, side="right")))]


def _train_tokenizer(text: pa.Array, training: NgramTraining) -> str:
    """Train a byte-level BPE on the first texts, up to a size."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=training.vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sizes = np.cumsum(pc.binary_length(text).to_numpy())
    sample = text.slice(0, max(1, int(np.searchsorted(sizes, training.tokenizer_mb * 1e6))))
    tokenizer.train_from_iterator((one.to_pylist() for one in _batches(normalise(sample))), trainer)
    return tokenizer.to_str(pretty=False)


def _batches(text: pa.Array, rows: int = 256) -> list[pa.Array]:
    return [text.slice(at, rows) for at in range(0, len(text), rows)]
