"""tokenizer: train a byte-level BPE on a deterministic sample of what is kept, or load one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts import ids, manifest, schemas, storage, tables
from pipelines.contracts.errors import ConfigError, StageError, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.recipe import Tokenizer as TokenizerRecipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file
from pipelines.ops.tokenize_text import cached_encoder
from pipelines.ops.tokenizer_sample import Stratum, drawn_fractions, stratum_shares
from pipelines.ops.train_tokenizer import measure_fertility, train_tokenizer

TOKENIZER_FILE = "tokenizer/tokenizer.json"
SAMPLE_FILE = "tokenizer/sample.parquet"
FERTILITY_FILE = "tokenizer/fertility.parquet"


@dataclass(frozen=True)
class Drawn:
    """Documents of one part that are drawn.

    Attributes:
        source: name of the part's source.
        mask: bool [rows of the part].
        lang: [rows of the part].
        text_bytes: int64 [rows of the part].
    """

    source: str
    mask: np.ndarray
    lang: np.ndarray
    text_bytes: np.ndarray


def read_part(workspace: str, part: int, split: str | None) -> tuple[list[str], Drawn]:
    """Read what drawing needs of one part.

    Args:
        workspace: where it lies.
        part: number of the part.
        split: only documents of this split; None for all.

    Returns:
        doc_id of every row; the rows that are kept (and of the split).
    """
    decisions = tables.read_table(workspace, part_file("decisions", part), ["doc_id", "kept", "split"])
    documents = tables.read_table(workspace, part_file("documents", part), ["source", "text_bytes"])
    lang = tables.read_table(workspace, part_file("signals", part), ["lang"])["lang"]
    mask = decisions["kept"].to_numpy().copy()
    if split is not None:
        mask &= pc.equal(decisions["split"], split).to_numpy()
    source = documents["source"][0].as_py() if documents.num_rows else ""
    sizes = documents["text_bytes"].to_numpy()
    return decisions["doc_id"].to_pylist(), Drawn(source, mask, np.array(lang.to_pylist(), object), sizes)


def sum_by_stratum(parts: Iterable[Drawn]) -> dict[Stratum, tuple[int, int]]:
    """Return documents and bytes of text of every source and language."""
    found: dict[Stratum, tuple[int, int]] = {}
    for part in parts:
        for lang in sorted(set(part.lang[part.mask])):
            here = part.mask & (part.lang == lang)
            documents, size = found.get((part.source, lang), (0, 0))
            found[part.source, lang] = documents + int(here.sum()), size + int(part.text_bytes[here].sum())
    return found


def draw(workspace: str, part: int, split: str | None, fractions: Mapping[Stratum, float], salt: str) -> Drawn:
    """Draw documents of one part by hash of their id."""
    doc_ids, kept = read_part(workspace, part, split)
    wanted = np.array([fractions.get((kept.source, lang), 0.0) for lang in kept.lang])
    drawn = np.array([ids.fraction(doc_id, salt) for doc_id in doc_ids]) < wanted
    return replace(kept, mask=kept.mask & drawn)


def drawn_rows(workspace: str, part: int, mask: np.ndarray, progress: Progress) -> Iterator[tuple[int, pa.Table]]:
    """Yield (first row, drawn rows) of every row group with a drawn row; no other group is read."""
    with storage.open_read(storage.join(workspace, part_file("documents", part))) as file:
        parquet = pq.ParquetFile(file)
        row = 0
        for group in range(parquet.num_row_groups):
            here = mask[row : row + parquet.metadata.row_group(group).num_rows]
            if here.any():
                text = parquet.read_row_group(group, columns=["text", "text_bytes"], use_threads=False)
                text = text.filter(pa.array(here))
                progress.beat(text.num_rows, text.nbytes)
                yield row, text
            row += len(here)


def sample_texts(
    context: Context, parts: list[int], fractions: Mapping[Stratum, float], drawn: list[Drawn], progress: Progress
) -> Iterator[list[str]]:
    """Yield the sample for training, and note in `drawn` what it is made of."""
    for part in parts:
        rows = draw(context.workspace, part, "train", fractions, "tokenizer")
        drawn.append(rows)
        for _, table in drawn_rows(context.workspace, part, rows.mask, progress):
            yield table["text"].to_pylist()


def train(context: Context, parts: list[int], progress: Progress) -> tuple[str, pa.Table]:
    """Train on the sample that the recipe asks for.

    Returns:
        `tokenizer.json`, and the table `tokenizer_sample`.
    """
    recipe = context.recipe.tokenizer
    there = sum_by_stratum(read_part(context.workspace, part, "train")[1] for part in parts)
    text_bytes = {stratum: size for stratum, (_, size) in there.items()}
    shares = stratum_shares(text_bytes, recipe.source_shares, recipe.language_shares, recipe.smoothing)
    fractions = drawn_fractions(text_bytes, shares, recipe.sample_mb * 1e6)
    drawn: list[Drawn] = []
    text = train_tokenizer(sample_texts(context, parts, fractions, drawn, progress), recipe)
    taken = sum_by_stratum(drawn)
    rows = [
        (*stratum, *there[stratum], shares[stratum], fractions[stratum], *taken.get(stratum, (0, 0)))
        for stratum in sorted(shares)
    ]
    names = schemas.TOKENIZER_SAMPLE.names
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schemas.TOKENIZER_SAMPLE)
    return text, table


def fertility(context: Context, parts: list[int], tokenizer_json: str, progress: Progress) -> pa.Table:
    """Measure the tokenizer on up to `fertility_mb` of kept text per language, drawn by hash."""
    sizes: Counter[str] = Counter()
    sources: set[str] = set()
    for (source, lang), (_, size) in sum_by_stratum(read_part(context.workspace, p, None)[1] for p in parts).items():
        sizes[lang] += size
        sources.add(source)
    wanted = context.recipe.tokenizer.fertility_mb * 1e6
    fractions = {(source, lang): min(1.0, wanted / max(1, sizes[lang])) for source in sources for lang in sizes}
    encoder = cached_encoder(tokenizer_json)
    batches = [schemas.FERTILITY.empty_table().select(["lang", "text_bytes", "characters", "words", "tokens"])]
    for part in parts:
        rows = draw(context.workspace, part, None, fractions, "fertility")
        words = tables.read_table(context.workspace, part_file("signals", part), ["gopher_words"])["gopher_words"]
        for first, table in drawn_rows(context.workspace, part, rows.mask, progress):
            at = first + np.flatnonzero(rows.mask[first:])[: table.num_rows]
            _, offsets = encoder.encode(table["text"].combine_chunks())
            columns = {
                "lang": pa.array(rows.lang[at].tolist(), pa.string()),
                "text_bytes": table["text_bytes"],
                "characters": pc.cast(pc.utf8_length(table["text"]), pa.int64()),
                "words": pa.array(words.to_numpy()[at].astype(np.int64)),
                "tokens": pa.array(np.diff(offsets)),
            }
            batches.append(pa.table(columns))
    return measure_fertility(batch.cast(pa.schema([(f.name, f.type) for f in batches[0].schema])) for batch in batches)


def load_tokenizer(recipe: TokenizerRecipe) -> str:
    """Read the recipe's `tokenizer.json`.

    Raises:
        ConfigError: if it is absent, not a tokenizer, or lacks the end-of-text token.
    """
    path = recipe.path or ""
    if not storage.exists(path):
        raise ConfigError(message("tokenizer.path", "no such file", path, "a tokenizer.json"))
    text = storage.read_bytes(path).decode()
    try:
        end_of_text_id(text, recipe.end_of_text)
    except (KeyError, json.JSONDecodeError) as error:
        raise ConfigError(
            message(path, "not usable", repr(error), f"a tokenizer.json with the token {recipe.end_of_text!r}")
        ) from error
    return text


def end_of_text_id(tokenizer_json: str, end_of_text: str) -> int:
    """Return the id of the end-of-text token."""
    body = json.loads(tokenizer_json)
    added = {token["content"]: token["id"] for token in body["added_tokens"]}
    return added[end_of_text] if end_of_text in added else body["model"]["vocab"][end_of_text]


def vocab_size(tokenizer_json: str) -> int:
    """Return one more than the greatest token id."""
    body = json.loads(tokenizer_json)
    added = [token["id"] for token in body["added_tokens"]]
    return 1 + max([*body["model"]["vocab"].values(), *added])


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Train or load the tokenizer of the workspace.

    Raises:
        StageError: if nothing was kept that it could be trained on.
    """
    recipe = context.recipe.tokenizer
    parts = task.payload["parts"]
    outputs = []
    if recipe.path is None:
        if not manifest.read_stage(context.workspace, "decide").counts["kept/documents"]:
            raise StageError(
                message(
                    "tokenizer",
                    "nothing to train on",
                    "0 kept documents",
                    "at least one",
                    "See which rule drops them: the counts in stages/decide/manifest.json.",
                )
            )
        text, sample = train(context, parts, progress)
        outputs.append(tables.write_table(context.workspace, SAMPLE_FILE, sample, schemas.TOKENIZER_SAMPLE))
    else:
        text = load_tokenizer(recipe)
    measured = fertility(context, parts, text, progress)
    outputs.append(tables.write_table(context.workspace, FERTILITY_FILE, measured, schemas.FERTILITY))
    storage.write_bytes(storage.join(context.workspace, TOKENIZER_FILE), text.encode())
    outputs.append(manifest.output_file(context.workspace, TOKENIZER_FILE, vocab_size(text)))
    return TaskManifest("tokenizer", task.key, task.fingerprint, tuple(outputs), {"vocab_size": vocab_size(text)})


def _literals(recipe: Recipe) -> object:
    body = recipe.tokenizer.model_dump(mode="json")
    if recipe.tokenizer.path is not None and storage.exists(recipe.tokenizer.path):
        body["path"] = storage.file_hash(recipe.tokenizer.path)
    return body


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make the one task."""
    return [Task("tokenizer", "all", lineage.of("tokenizer"), {"parts": [part.number for part in plan.parts]})]


STAGE = MapStage(
    name="tokenizer",
    version=2,
    upstream=("decide",),
    scope="whole",
    literals=_literals,
    plan=plan_tasks,
    run=run,
)
