"""Token shards as training reads them: nothing is read that is not what the manifests say.

A shard that is missing, cut short, of other bytes, or made by another tokenizer is refused with its name;
a truncated Arrow stream may otherwise end at a batch border and read as if it were whole.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.contracts import ids, manifest, storage
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.manifest import OutputFile
from pipelines.contracts.shards import read_shard

_HINT = "Run `mixtrace curate` again: it writes what its manifests do not vouch for."
SPELLED_SHARE = 0.02
"""How far the bytes of a document's tokens may be from its text (normalisation, a prefix space)."""


def token_byte_lengths(workspace: str) -> np.ndarray:
    """Return the [vocab] UTF-8 bytes of every token of a byte-level tokenizer; 0 for special tokens."""
    body = json.loads(storage.read_bytes(storage.join(workspace, "tokenizer/tokenizer.json")))
    special = {token["id"] for token in body["added_tokens"]}
    vocabulary = body["model"]["vocab"]
    lengths = np.zeros(1 + max([*vocabulary.values(), *special]), np.int64)
    for text, index in vocabulary.items():  # in the byte-level alphabet every character is one byte
        lengths[index] = 0 if index in special else len(text)
    return lengths


@functools.lru_cache(maxsize=256)
def open_shard(workspace: str, path: str) -> pa.Table:
    """Map a shard.

    Raises:
        InputError: if it is not there or no Arrow stream.
    """
    where = storage.join(workspace, path)
    try:
        return read_shard(workspace, path)
    except FileNotFoundError as error:
        raise InputError(message(where, "missing shard", "no file", "the file that tokenize wrote", _HINT)) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(message(where, "damaged shard", str(error), "a whole Arrow stream", _HINT)) from error


def check_size(workspace: str, shard: OutputFile) -> None:
    """Refuse a shard that is missing or of another size than its manifest says.

    Raises:
        InputError: naming the file.
    """
    where = storage.join(workspace, shard.path)
    if not storage.exists(where):
        raise InputError(message(where, "missing shard", "no file", f"{shard.bytes} bytes", _HINT))
    size = storage.size_bytes(where)
    if size != shard.bytes:
        raise InputError(message(where, "truncated or changed shard", f"{size} bytes", f"{shard.bytes} bytes", _HINT))


def corpus_id(shards: Sequence[OutputFile]) -> str:
    """Hash what a corpus of shards holds."""
    return ids.fingerprint([[shard.path, shard.hash] for shard in shards])


def check_corpus(workspace: str) -> str:
    """Read every shard once and compare it with its manifest and the tokenizer.

    Args:
        workspace: curated workspace; local or a prefix of an object store.

    Returns:
        The corpus (`corpus_id`).

    Raises:
        InputError: naming the file that is missing, changed, or of another tokenizer.
    """
    for part in manifest.read_stage(workspace, "tokenizer").outputs:
        where = storage.join(workspace, part.path)
        got = storage.file_hash(where) if storage.exists(where) else "no file"
        if got != part.hash:
            raise InputError(message(where, "not the tokenizer of this workspace", got, f"hash {part.hash}", _HINT))
    lengths = token_byte_lengths(workspace)
    shards = manifest.read_stage(workspace, "tokenize").outputs
    for shard in shards:
        check_size(workspace, shard)
        where = storage.join(workspace, shard.path)
        found = storage.file_hash(where)
        if found != shard.hash:
            raise InputError(message(where, "changed shard", f"hash {found}", f"hash {shard.hash}", _HINT))
        check_tokens(where, open_shard(workspace, shard.path), lengths)
    return corpus_id(shards)


def check_tokens(where: str, shard: pa.Table, lengths: np.ndarray) -> None:
    """Refuse tokens that the tokenizer cannot have made.

    Args:
        where: name of the file, for the message.
        shard: rows of the table of tokens.
        lengths: [vocab] UTF-8 bytes of each token.

    Raises:
        InputError: if the vocabulary does not fit the type of the ids, an id is not in it, or the tokens of the
            first document spell a text of another length.
    """
    kind = shard.schema.field("input_ids").type.value_type
    room = np.iinfo(np.dtype(str(kind))).max
    if len(lengths) - 1 > room:
        raise InputError(
            message(where, "vocabulary larger than the type of the ids", f"{len(lengths)} tokens in {kind}",
                    f"at most {room + 1}", _HINT)
        )  # fmt: skip
    for batch in shard["input_ids"].chunks:
        tokens = batch.values.to_numpy()
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < len(lengths):
            found = f"{tokens.min()} to {tokens.max()}"
            raise InputError(message(where, "tokens of another tokenizer", f"ids {found}", f"0 to {len(lengths) - 1}"))
    if shard.num_rows:
        spelled = int(lengths[shard["input_ids"][0].values.to_numpy()].sum())
        expected = shard["n_bytes"][0].as_py()
        if abs(spelled - expected) > max(8, SPELLED_SHARE * expected):
            raise InputError(
                message(where, "tokens of another tokenizer", f"the first document spells {spelled} bytes",
                        f"the {expected} bytes of its text", _HINT)
            )  # fmt: skip
