"""Train a byte-level BPE, and measure how many tokens it makes of every language."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import schemas
from pipelines.contracts.recipe import Tokenizer as TokenizerRecipe
from pipelines.kernels.bpe_model import byte_alphabet
from pipelines.kernels.pretokenizer_model import CONFIGURATIONS


def train_tokenizer(texts: Iterator[list[str]], recipe: TokenizerRecipe) -> str:
    """Train a byte-level BPE and return its `tokenizer.json`.

    All 256 bytes are tokens, so there is no unknown text. Ids: special tokens, bytes, merges in the order of
    their counts. The result depends on the multiset of texts, not on their order, nor on the number of processors.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, decoders, models, trainers

    body = json.loads(Tokenizer(models.BPE()).to_str())
    body["pre_tokenizer"] = CONFIGURATIONS[recipe.pre_tokenizer]
    tokenizer = Tokenizer.from_str(json.dumps(body))
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size,
        special_tokens=[recipe.end_of_text, *recipe.special_tokens],
        initial_alphabet=sorted(byte_alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str(pretty=False)


def measure_fertility(batches: Iterable[pa.Table]) -> pa.Table:
    """Sum tokens, words and bytes by language.

    Args:
        batches: [rows] each, with lang, text_bytes, characters, words, tokens.

    Returns:
        The table `fertility`, most bytes first.
    """
    names = ("text_bytes", "characters", "words", "tokens")
    rows = pa.concat_tables(list(batches))
    summed = rows.group_by("lang").aggregate([([], "count_all"), *((name, "sum") for name in names)])
    sums = {name: summed[f"{name}_sum"].to_numpy().astype(np.float64) for name in names}
    tokens = np.maximum(sums["tokens"], 1)
    columns = {
        "lang": summed["lang"],
        "documents": summed["count_all"],
        **{name: pc.cast(summed[f"{name}_sum"], pa.int64()) for name in names},
        "bytes_per_token": pa.array(sums["text_bytes"] / tokens),
        "tokens_per_word": pa.array(np.where(sums["words"] > 0, sums["tokens"] / np.maximum(sums["words"], 1), np.nan)),
    }
    table = pa.table([columns[field.name] for field in schemas.FERTILITY], names=schemas.FERTILITY.names)
    order = [("text_bytes", "descending"), ("lang", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=order)).cast(schemas.FERTILITY)


def fertility_lines(table: pa.Table) -> list[str]:
    """Lay out the table `fertility` in Markdown."""
    lines = ["| language | documents | bytes per token | tokens per word |", "|---|---|---|---|"]
    for row in table.to_pylist():
        words = f"{row['tokens_per_word']:.2f}" if row["words"] else ""
        lines.append(f"| {row['lang']} | {row['documents']} | {row['bytes_per_token']:.2f} | {words} |")
    return lines
