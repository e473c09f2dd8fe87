"""Encode and decode texts with a `tokenizer.json`: by kernel where it covers the tokenizer, else by `tokenizers`."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import UnsupportedTokenizer, is_byte_level, load_bpe, plain_vocab, token_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Decoder = Callable[[np.ndarray, np.ndarray], list[bytes | memoryview]]
"""From the token ids [total] and the offsets [documents + 1] of documents to the bytes of each."""

_LOG = logging.getLogger(__name__)
_CHECK_TEXTS: Final = (
    "",
    "The 2 cats' owner's sure they'll've said: it's 3.14! <|endoftext|>",
    "def f(x):\n    return x  # tabs\t\tand  two\u00a0spaces \r\n\r\n",
    "Ünïcödé straße, naïve café, İstanbul, Ελληνικά, русский язык",
    "中文没有空格。日本語も　全角空白。한국어 띄어쓰기",
    "हिन्दी भाषा १२३ العربية ٤٥٦ עברית ไทยไม่มีช่องว่าง",
    "👩‍👩‍👧 🇨🇭 e\u0301 \u2028\u3000\u0085\x00 ½ Ⅷ x² \U00020000",
    "THEY'LL'S o'ſ 1234567 ٤٥٦٧ #tag .Net $x\r\n \n\t a カタ・カナ12漢字\u3099 \u200d\u200da\u0301--\n\n  \n",
    "aGVsbG8gd29ybGQ" * 20,
)


class Encoder(Protocol):
    """What encodes a column of texts."""

    def encode(self, text: pa.StringArray | pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts; special tokens in them are ordinary text.

        Args:
            text: [rows] without nulls.

        Returns:
            Token ids [total], uint16 for up to 65,536 ids, else uint32; offsets `int64 [rows + 1]`.
        """
        ...


class LibraryEncoder:
    """Encode with `tokenizers`, for what the kernel does not cover (about 1/10 of its speed)."""

    def __init__(self, tokenizer_json: str) -> None:
        """Load a tokenizer without its added tokens, which are thus never found in a text."""
        body = json.loads(tokenizer_json)
        added = [token["id"] for token in body.get("added_tokens", [])]
        if "merges" in body["model"]:
            body["model"]["vocab"] = plain_vocab(body)
        self._tokenizer = _library_tokenizer({**body, "added_tokens": []})
        ids = 1 + max([*self._tokenizer.get_vocab(with_added_tokens=True).values(), *added])
        self._id_type = np.uint16 if ids <= 1 << 16 else np.uint32

    def encode(self, text: pa.StringArray | pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts, as `Encoder.encode` says."""
        if text.null_count:
            raise ValueError(f"encode: nulls in the column: got {text.null_count}; expected none")
        encoded = self._tokenizer.encode_batch_fast(text.to_pylist(), add_special_tokens=False)
        rows = [np.array(row.ids, self._id_type) for row in encoded]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return np.concatenate([np.zeros(0, self._id_type), *rows]), offsets


def _library_tokenizer(body: dict[str, Any]) -> Tokenizer:
    """Make a `tokenizers.Tokenizer` that neither cuts nor pads and uses one thread (workers are processes)."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps({**body, "truncation": None, "padding": None, "post_processor": None}))


def load_encoder(tokenizer_json: str) -> Encoder:
    """Load the kernel, or `tokenizers` with a warning if the kernel does not cover this tokenizer.

    Args:
        tokenizer_json: text of a `tokenizer.json`.
    """
    library = LibraryEncoder(tokenizer_json)
    try:
        kernel = BytePairEncoder(load_bpe(tokenizer_json))
        _check_equal(kernel, library)
    except UnsupportedTokenizer as reason:
        _LOG.warning("tokenizer: not covered by the kernel, so encoded by the slower tokenizers library: %s", reason)
        return library
    return kernel


@functools.lru_cache(maxsize=2)
def cached_encoder(tokenizer_json: str) -> Encoder:
    """Load a tokenizer once per worker process; its cache of pre-tokens lives as long."""
    return load_encoder(tokenizer_json)


def _check_equal(kernel: Encoder, library: Encoder) -> None:
    """Compare both on a sample.

    Raises:
        UnsupportedTokenizer: They differ, for instance with a version of `tokenizers` that splits otherwise.
    """
    for text in _CHECK_TEXTS:
        column = pa.array([text])
        ours, theirs = kernel.encode(column)[0], library.encode(column)[0]
        if not np.array_equal(ours, theirs):
            raise UnsupportedTokenizer(
                f"other ids for {text!r}: got {ours[:32].tolist()}; expected {theirs[:32].tolist()}"
            )


@functools.cache
def load_decoder(tokenizer_json: str) -> Decoder:
    """Load what turns ids back into the bytes of documents; an id that no token has is an IndexError.

    Byte-level tokenizers decode exactly. Others decode as `tokenizers` does, which need not give back the
    text that was encoded (a normalizer or a prefix may have changed it).

    Args:
        tokenizer_json: text of a `tokenizer.json`.
    """
    body = json.loads(tokenizer_json)
    if not is_byte_level(body):
        tokenizer = _library_tokenizer(body)
        return lambda token_ids, offsets: [
            tokenizer.decode(token_ids[first:last].tolist(), skip_special_tokens=False).encode()
            for first, last in itertools.pairwise(offsets)
        ]
    return functools.partial(_decode_bytes, pa.array(token_bytes(body), pa.large_binary()))


def _decode_bytes(tokens: pa.LargeBinaryArray, token_ids: np.ndarray, offsets: np.ndarray) -> list[memoryview]:
    """Lay the bytes of all tokens end to end, and cut them where documents end.

    Args:
        tokens: [ids] bytes of each token.
        token_ids: [total].
        offsets: [documents + 1] int64.
    """
    taken = tokens.take(pa.array(token_ids))
    _, ends, data = taken.buffers()
    text = memoryview(data or b"").cast("B")
    cuts = np.frombuffer(ends, np.int64)[offsets].tolist() if len(taken) else [0] * len(offsets)
    return [text[first:last] for first, last in itertools.pairwise(cuts)]
