"""tokenizer: train a byte-level BPE on a deterministic sample of what is kept, or load one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, manifest, storage, tables
from pipelines.contracts.errors import ConfigError, StageError, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.recipe import Tokenizer as TokenizerRecipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file

TOKENIZER_FILE = "tokenizer/tokenizer.json"


def sample_texts(context: Context, parts: list[int], progress: Progress) -> Iterator[list[str]]:
    """Yield the sample for training: kept documents of the train split, drawn by hash of their id."""
    counts = manifest.read_stage(context.workspace, "decide").counts
    kept_bytes = max(1, counts.get("kept/text_bytes", 0))
    share = context.recipe.tokenizer.sample_mb * 1e6 / kept_bytes
    for part in parts:
        decisions = tables.read_table(context.workspace, part_file("decisions", part), ["doc_id", "kept", "split"])
        drawn = [ids.fraction(doc_id, "tokenizer") < share for doc_id in decisions["doc_id"].to_pylist()]
        in_train = pc.and_(decisions["kept"], pc.equal(decisions["split"], "train"))
        mask = pc.and_(in_train, pa.chunked_array([pa.array(drawn, pa.bool_())]))
        row = 0
        for batch in tables.read_batches(context.workspace, part_file("documents", part), ["text"]):
            texts = batch["text"].filter(mask.slice(row, batch.num_rows))
            row += batch.num_rows
            progress.beat(len(texts), texts.nbytes)
            yield texts.to_pylist()


def train_tokenizer(texts: Iterator[list[str]], recipe: TokenizerRecipe) -> str:
    """Train a byte-level BPE (GPT-2 pre-tokenizer) and return its `tokenizer.json`."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size,
        special_tokens=[recipe.end_of_text],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str(pretty=False)


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
    if recipe.path is None:
        kept = manifest.read_stage(context.workspace, "decide").counts["kept/documents"]
        if not kept:
            raise StageError(
                message(
                    "tokenizer",
                    "nothing to train on",
                    "0 kept documents",
                    "at least one",
                    "See which rule drops them: the counts in stages/decide/manifest.json.",
                )
            )
        text = train_tokenizer(sample_texts(context, task.payload["parts"], progress), recipe)
    else:
        text = load_tokenizer(recipe)
    storage.write_bytes(storage.join(context.workspace, TOKENIZER_FILE), text.encode())
    output = manifest.output_file(context.workspace, TOKENIZER_FILE, vocab_size(text))
    return TaskManifest("tokenizer", task.key, task.fingerprint, (output,), {"vocab_size": vocab_size(text)})


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
    version=1,
    upstream=("decide",),
    scope="whole",
    literals=_literals,
    plan=plan_tasks,
    run=run,
)
