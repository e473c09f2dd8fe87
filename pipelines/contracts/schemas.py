"""The Arrow schema of every table that curation writes, with unit and meaning of each column.

DuckDB comments, the reference pages and the checks of the writer are all made from these.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa


def field(name: str, type_: pa.DataType, doc: str, unit: str = "", *, nullable: bool = False) -> pa.Field:
    """Make a field that carries its meaning and unit."""
    return pa.field(name, type_, nullable=nullable, metadata={"doc": doc, "unit": unit})


def table(name: str, doc: str, fields: list[pa.Field]) -> pa.Schema:
    """Make the schema of a table that carries its name and meaning."""
    return pa.schema(fields, metadata={"table": name, "doc": doc})


_PART = field("part", pa.int32(), "number of the part of the plan in which the document lies")
_ROW = field("row", pa.int32(), "row of the document in its part; the same in documents, signals, decisions")
_DOC_ID = field("doc_id", pa.string(), "128-bit xxh3 of (source, relative path, position), 32 hex digits")

DOCUMENTS = table(
    "documents",
    "Every document that was read, kept or not, after extraction and cleaning.",
    [
        _DOC_ID,
        field(
            "native_id", pa.string(), "id in the source (WARC-Record-ID, JSON id, page id); may repeat", nullable=True
        ),
        _PART,
        _ROW,
        field("source", pa.string(), "name of the source in the recipe"),
        field("path", pa.string(), "file, relative to the source root"),
        field("offset", pa.int64(), "decompressed offset of the record in the file", "bytes"),
        field("url", pa.string(), "address of the document, if the source names one", nullable=True),
        field("date", pa.string(), "date of the record as the source gives it (ISO 8601)", nullable=True),
        field("title", pa.string(), "title of an HTML page", nullable=True),
        field("published", pa.string(), "date of publication that an HTML page names (ISO 8601)", nullable=True),
        field("canonical_url", pa.string(), "address that an HTML page calls its own", nullable=True),
        field("lang_hint", pa.string(), "language that an HTML page declares, two or three letters", nullable=True),
        field("text", pa.large_string(), "cleaned text, Unicode NFC"),
        field("raw_bytes", pa.int64(), "decompressed length of the record", "bytes"),
        field("text_bytes", pa.int64(), "length of the cleaned text in UTF-8, even if it was removed", "bytes"),
        field("content_hash", pa.string(), "128-bit xxh3 of the cleaned text, 32 hex digits"),
        field(
            "edits",
            pa.list_(pa.struct([pa.field("rule", pa.string()), pa.field("count", pa.int32())])),
            "what cleaning and masking changed, and how often",
        ),
    ],
)

INGESTED = table(
    "ingested",
    "If repeated lines are cut out (recipe: `lines`): the documents before that; else this table does not exist.",
    list(DOCUMENTS),
)

REMOVED_LINES = table(
    "removed_lines",
    "Lines or paragraphs that were cut out of documents because many texts share them.",
    [
        _PART,
        _ROW,
        field("start", pa.int64(), "first byte in the text of `ingested`", "bytes"),
        field("end", pa.int64(), "one past its last byte; its line end goes with it", "bytes"),
        field("key", pa.uint64(), "64-bit hash of the normalised unit"),
        field("documents", pa.int32(), "distinct texts that hold it", "documents"),
        field("keeper_part", pa.int32(), "part of the document that keeps it; null if none does", nullable=True),
        field("keeper_row", pa.int32(), "row of the document that keeps it", nullable=True),
    ],
)

DEAD_LETTERS = table(
    "dead_letters",
    "Records that could not be read, decoded or extracted; each cost one record and nothing else.",
    [
        field("source", pa.string(), "name of the source in the recipe"),
        field("path", pa.string(), "file, relative to the source root"),
        field("offset", pa.int64(), "decompressed offset of the record in the file", "bytes"),
        field("length", pa.int64(), "decompressed length of what was lost", "bytes"),
        field("stage", pa.string(), "read, extract, clean or mask"),
        field("error", pa.string(), "short name of the fault"),
        field("message", pa.string(), "what was found and what was expected"),
        field(
            "raw", pa.large_binary(), "first 64 KiB of the record, unless the recipe keeps only its hash", nullable=True
        ),
        field("raw_hash", pa.string(), "128-bit xxh3 of the bytes that were at hand"),
    ],
)

QUALITY_SIGNALS: dict[str, tuple[str, str]] = {
    # name: (unit, meaning); Gopher: Rae et al. 2021 (arXiv:2112.11446); FineWeb: Penedo et al. 2024 (arXiv:2406.17557)
    "gopher_words": ("words", "words that are not pure symbols"),
    "gopher_mean_word_length": ("characters", "mean length of the words that are not pure symbols"),
    "gopher_hash_ratio": ("per word", "number signs per word"),
    "gopher_ellipsis_ratio": ("per word", "ellipses per word"),
    "gopher_bullet_line_frac": ("", "share of lines that start with a bullet"),
    "gopher_ellipsis_line_frac": ("", "share of lines that end with an ellipsis"),
    "gopher_alpha_word_frac": ("", "share of words with at least one letter"),
    "gopher_stop_words": ("words", "how many of the eight English stop words occur"),
    "gopher_dup_line_frac": ("", "share of lines that repeat an earlier line"),
    "gopher_dup_line_char_frac": ("", "share of characters in lines that repeat an earlier line"),
    "gopher_dup_paragraph_frac": ("", "share of paragraphs that repeat an earlier paragraph"),
    "gopher_dup_paragraph_char_frac": ("", "share of characters in repeated paragraphs"),
    "gopher_top_2gram_char_frac": ("", "share of characters in the commonest word 2-gram"),
    "gopher_top_3gram_char_frac": ("", "share of characters in the commonest word 3-gram"),
    "gopher_top_4gram_char_frac": ("", "share of characters in the commonest word 4-gram"),
    "gopher_dup_5gram_char_frac": ("", "share of characters in repeated word 5-grams"),
    "gopher_dup_6gram_char_frac": ("", "share of characters in repeated word 6-grams"),
    "gopher_dup_7gram_char_frac": ("", "share of characters in repeated word 7-grams"),
    "gopher_dup_8gram_char_frac": ("", "share of characters in repeated word 8-grams"),
    "gopher_dup_9gram_char_frac": ("", "share of characters in repeated word 9-grams"),
    "gopher_dup_10gram_char_frac": ("", "share of characters in repeated word 10-grams"),
    "fineweb_terminal_line_frac": ("", "share of lines that end in terminal punctuation"),
    "fineweb_short_line_frac": ("", "share of lines of at most 30 characters"),
    "fineweb_dup_line_char_frac": ("", "share of characters in repeated lines"),
    "fineweb_newlines_per_word": ("per word", "line ends per word"),
}

_DOLMA_SIGNALS: dict[str, tuple[str, str]] = {
    # as the tagger gopher_v1 of dolma 1.2.1 measures; words lie between white space
    "dolma_words": ("words", "words"),
    "dolma_median_word_length": ("characters", "median length of the words"),
    "dolma_symbol_word_frac": ("", "share of words with a number sign or an ellipsis sign"),
    "dolma_alpha_word_frac": ("", "share of words with at least one letter"),
    "dolma_stop_words": ("words", "occurrences of the eight English stop words"),
    "dolma_bullet_line_frac": ("", "share of lines that start with * or -"),
    "dolma_ellipsis_line_frac": ("", "share of lines that end with an ellipsis sign"),
    "dolma_dup_line_frac": ("", "share of lines that occur more than once, all occurrences"),
    "dolma_dup_line_char_frac": ("", "characters of such lines per character of words (may exceed 1)"),
    **{f"dolma_top_{n}gram_char_frac": ("", f"share of characters in the commonest word {n}-gram") for n in (2, 3, 4)},
    **{
        f"dolma_dup_{n}gram_char_frac": ("", f"share of the characters of all word {n}-grams in repeated ones")
        for n in range(5, 11)
    },
}


def _c4_signals(variant: str) -> dict[str, tuple[str, str]]:
    return {
        f"c4_{variant}_sentences": ("sentences", "sentences of the lines that C4 keeps"),
        f"c4_{variant}_lorem_ipsum_lines": ("lines", "lines with lorem ipsum (the page goes)"),
        f"c4_{variant}_curly_bracket_lines": ("lines", "lines with { (the page goes)"),
        f"c4_{variant}_kept_line_frac": ("", "share of lines that C4 keeps"),
        f"c4_{variant}_kept_char_frac": ("", "share of characters that C4 keeps"),
        f"c4_{variant}_open_line_frac": ("", "share of lines without an end mark"),
        f"c4_{variant}_few_words_line_frac": ("", "share of lines with an end mark and too few words"),
        f"c4_{variant}_javascript_lines": ("lines", "lines that go for naming javascript"),
        f"c4_{variant}_policy_lines": ("lines", "lines that go for a cookie or terms-of-use phrase"),
        f"c4_{variant}_long_word_lines": ("lines", "lines that go for a word of more than 1,000 characters"),
    }


_SCRIPT_SIGNALS: dict[str, tuple[str, str]] = {
    # datatrove's formulas over words by script: ICU's for zh, ja, th, km, lo, my, our splitter's elsewhere
    "script_words": ("words", "words that are not pure symbols"),
    "script_mean_word_length": ("characters", "mean length of the words that are not pure symbols"),
    "script_hash_ratio": ("per word", "number signs per word"),
    "script_ellipsis_ratio": ("per word", "ellipses per word"),
    "script_alpha_word_frac": ("", "share of words with at least one letter"),
    "script_stop_words": ("words", "how many stop words of the document's language occur"),
    "script_newlines_per_word": ("per word", "line ends per word"),
    **{f"script_top_{n}gram_char_frac": ("", f"share of characters in the commonest word {n}-gram") for n in (2, 3, 4)},
    **{f"script_dup_{n}gram_char_frac": ("", f"share of characters in repeated word {n}-grams") for n in range(5, 11)},
}


def _group(columns: dict[str, tuple[str, str]]) -> tuple[pa.Field, ...]:
    return tuple(field(name, pa.float64(), doc, unit) for name, (unit, doc) in columns.items())


BASE_GROUP = "base"
SIGNAL_GROUPS: dict[str, tuple[pa.Field, ...]] = {
    # group: columns of `signals` that are measured together; the base group always is, the others when asked for
    BASE_GROUP: (
        field("lang", pa.string(), "most likely language (its tag), und if nothing is known or it scores too little"),
        field("lang_score", pa.float32(), "probability of its label, 0 if nothing is known"),
        field("lang_label", pa.string(), "label of the model, und if nothing is known"),
        *_group(QUALITY_SIGNALS),
    ),
    "lists": (
        field(
            "url_listed", pa.string(), "domain or url if the block list holds it, allowed if the allow list, too; or no"
        ),
        field("url_words", pa.float64(), "listed words in the URL", "words"),
        field("bad_words", pa.float64(), "listed words and phrases in the text", "occurrences"),
        field("bad_words_per_word", pa.float64(), "listed words and phrases per word", "per word"),
    ),
    "language": (  # paragraphs: lines of enough bytes whose language scores enough (recipe: language)
        field("lang_paragraphs", pa.float64(), "paragraphs (lines) with a language", "paragraphs"),
        field("lang_paragraph_byte_frac", pa.float64(), "share of the text's bytes in them"),
        field("lang_count", pa.float64(), "different languages of paragraphs", "languages"),
        field("lang_main", pa.string(), "language with most bytes of them, und if there is none"),
        field("lang_main_byte_frac", pa.float64(), "its share of their bytes"),
        field("lang_second", pa.string(), "language with the second most bytes, und if there is none"),
        field("lang_second_byte_frac", pa.float64(), "its share of their bytes"),
    ),
    "gopher_dolma": _group(_DOLMA_SIGNALS),
    "c4_tfds": _group({"c4_tfds_chars": ("characters", "length of the text"), **_c4_signals("tfds")}),
    "c4_datatrove": _group(_c4_signals("datatrove")),
    "script": _group(_SCRIPT_SIGNALS),
    "perplexity": (
        field(
            "perplexity",
            pa.float64(),
            "exp(-ln p / tokens) under the n-gram model of the document's language; null without a model",
            "per token",
            nullable=True,
        ),
        field(
            "perplexity_bucket",
            pa.string(),
            "head, middle or tail: by the terciles of the model's reference texts; null without a model",
            nullable=True,
        ),
    ),
}
CLASSIFIER = "classifier_"
"""What the group of a classifier of the recipe begins with; it is named like its only column."""


def columns_of(group: str) -> tuple[pa.Field, ...]:
    """Return the columns of a group of signals.

    Raises:
        KeyError: for a group that is not in SIGNAL_GROUPS and no classifier.
    """
    if group.startswith(CLASSIFIER):
        doc = "probability of the classifier's label; null where the model knows nothing of the text"
        return (field(group, pa.float64(), doc, nullable=True),)
    return SIGNAL_GROUPS[group]


def signals(groups: Iterable[str] = ()) -> pa.Schema:
    """Return the schema of `signals`: the base group, named groups in the order of SIGNAL_GROUPS, classifiers by name.

    Raises:
        KeyError: for a group that is not in SIGNAL_GROUPS and no classifier.
    """
    wanted = {BASE_GROUP, *groups}
    classifiers = sorted(group for group in wanted if group.startswith(CLASSIFIER))
    unknown = wanted - SIGNAL_GROUPS.keys() - set(classifiers)
    if unknown:
        raise KeyError(f"signal groups: got {sorted(unknown)}; expected some of {sorted(SIGNAL_GROUPS)}")
    ordered = [*(group for group in SIGNAL_GROUPS if group in wanted), *classifiers]
    columns = [column for group in ordered for column in columns_of(group)]
    return table(
        "signals", "What was measured on every document; rules turn these into decisions.", [_PART, _ROW, *columns]
    )


def group_of_signal() -> dict[str, str]:
    """Return the group of every signal of every group."""
    return {column.name: group for group, fields in SIGNAL_GROUPS.items() for column in fields}


SIGNALS = signals()


def signatures(num_perm: int) -> pa.Schema:
    """Return the schema of the MinHash signatures for a number of permutations."""
    return table(
        "signatures",
        "MinHash signatures of every document.",
        [
            _PART,
            _ROW,
            field("n_words", pa.int32(), "words; two characters of a script without spaces count as one", "words"),
            field("n_shingles", pa.int32(), "shingles hashed (repeats counted)", "shingles"),
            field("signature", pa.list_(pa.uint32(), num_perm), "least hash per permutation"),
        ],
    )


ITEMS = table(
    "items",
    "Evaluation items that are looked for in the corpus.",
    [
        field("item", pa.int32(), "number of the item"),
        field("task", pa.string(), "evaluation task"),
        field("item_id", pa.string(), "id of the item in its task"),
        field("words", pa.int64(), "words of its texts", "words"),
    ],
)

ITEM_NGRAMS = table(
    "item_ngrams",
    "The distinct n-grams of every item, sorted by key and item.",
    [
        field("key", pa.uint64(), "64-bit hash of the words and of n"),
        field("item", pa.int32(), "number of the item"),
        field("n", pa.int32(), "words per n-gram", "words"),
    ],
)

ITEM_HITS = table(
    "item_hits",
    "Every n-gram of an item that a document holds, once per document.",
    [
        _ROW,
        field("key", pa.uint64(), "the n-gram"),
        field("offset", pa.int64(), "first byte of its first occurrence in the text", "bytes"),
    ],
)

ITEM_COUNTS = table(
    "item_counts",
    "How many documents of the corpus hold an n-gram of an item.",
    [
        field("key", pa.uint64(), "the n-gram"),
        field("documents", pa.int64(), "documents that hold it", "documents"),
    ],
)

CONTAMINATION = table(
    "contamination",
    "Every document that shares n-grams with an evaluation item, other than those that are common in the corpus.",
    [
        _PART,
        _ROW,
        field("task", pa.string(), "evaluation task"),
        field("item_id", pa.string(), "id of the item in its task"),
        field("n", pa.int32(), "words per n-gram", "words"),
        field("hits", pa.int32(), "distinct n-grams of the item in the document", "n-grams"),
        field("item_ngrams", pa.int32(), "distinct n-grams of the item", "n-grams"),
        field("overlap", pa.float64(), "hits / item_ngrams"),
        field("offset", pa.int64(), "first byte of the first hit in the text", "bytes"),
    ],
)

DUPLICATES = table(
    "duplicates",
    "Every document that shares a key with another: what it is linked to and who removed it.",
    [
        _PART,
        _ROW,
        field("component_id", pa.string(), "least content_hash of the linked documents"),
        field("component_size", pa.int32(), "linked documents", "documents"),
        field("kind", pa.string(), "url, exact or near if it was removed for that; null if it stays", nullable=True),
        field("leader", pa.string(), "doc_id of the kept document that it repeats; null if it stays", nullable=True),
        field(
            "leader_build", pa.string(), "earlier build (name@hash) in which the leader lies; null: this", nullable=True
        ),
        field(
            "similarity",
            pa.float64(),
            "exact Jaccard similarity of the shingles with the leader; null if it stays, or is another version of an address",
            nullable=True,
        ),
        field(
            "cluster_size",
            pa.int32(),
            "documents that it stands for, itself included; 0 if it does not stay",
            "documents",
        ),
        field(
            "rehydration_weight", pa.int32(), "how often to repeat it, by cluster_size; 0 if it does not stay", "times"
        ),
    ],
)

DECISIONS = table(
    "decisions",
    "The verdict on every document: kept or not, and every rule that failed.",
    [
        _DOC_ID,
        _PART,
        _ROW,
        field("kept", pa.bool_(), "true if no rule failed and it repeats no kept document"),
        field("first_reason", pa.string(), "first reason for dropping it, in the order of the recipe", nullable=True),
        field("failed_rules", pa.list_(pa.string()), "every reason for dropping it"),
        field("split", pa.string(), "train or heldout; independent of every rule"),
        field("split_key", pa.string(), "what the split was drawn by: component_id, or content_hash if it is alone"),
    ],
)

REMOVALS = table(
    "removals",
    "Documents that were removed on request (`mixtrace remove`): the audit, and what keeps them out.",
    [
        _DOC_ID,
        field("source", pa.string(), "name of the source in the recipe"),
        field("path", pa.string(), "file, relative to the source root"),
        field("offset", pa.int64(), "decompressed offset of the record in the file", "bytes"),
        field("part", pa.int32(), "part in which it lay when it was removed"),
        field("row", pa.int32(), "row in which it lay when it was removed"),
        field("content_hash", pa.string(), "128-bit xxh3 of the text that was removed"),
        field("text_bytes", pa.int64(), "length of the text that was removed", "bytes"),
        field("kept", pa.bool_(), "whether it was kept until then"),
        field("selector", pa.string(), "what named it: url, id, native_id, or copies of a document named so"),
        field("selector_hash", pa.string(), "128-bit xxh3 of the URL or id that was given, 32 hex digits"),
        field("reason", pa.string(), "why, as given"),
        field("requested_by", pa.string(), "who asked for it, as given", nullable=True),
        field("removed_at", pa.string(), "when, UTC (ISO 8601)"),
        field("files", pa.list_(pa.string()), "files that were rewritten or deleted with it"),
    ],
)

INDEX = table(
    "index",
    "Where a document lies, by the hash of its id and of its address; `explain` reads one partition.",
    [
        field("key", pa.uint64(), "64-bit xxh3 of the doc_id, native_id or URL"),
        field("kind", pa.string(), "doc_id, native_id or url"),
        _PART,
        _ROW,
    ],
)


def tokens(vocab_size: int) -> pa.Schema:
    """Return the schema of the token shards for a vocabulary."""
    ids = pa.uint16() if vocab_size <= 1 << 16 else pa.uint32()
    return table(
        "tokens",
        "Token ids of whole documents, in the order of their ids (a global shuffle).",
        [
            _DOC_ID,
            _PART,
            _ROW,
            field("lang", pa.string(), "most likely language"),
            field("n_bytes", pa.int64(), "length of the text in UTF-8", "bytes"),
            field(
                "input_ids",
                pa.list_(pa.field("item", ids, nullable=False)),
                "token ids; the last is the end of the document",
            ),
        ],
    )


EXPORTED = table(
    "exported_documents",
    "The documents of an exported file of token ids, in its order: the way back from a place to its document.",
    [
        _DOC_ID,
        _PART,
        _ROW,
        field("lang", pa.string(), "most likely language"),
        field("n_bytes", pa.int64(), "length of the text in UTF-8", "bytes"),
        field("start", pa.int64(), "where the document starts in the file", "tokens"),
        field("n_tokens", pa.int32(), "its token ids, with the one that ends it", "tokens"),
    ],
)

TOKENIZER_SAMPLE = table(
    "tokenizer_sample",
    "What the tokenizer was trained on: kept documents of the train split, by source and language.",
    [
        field("source", pa.string(), "name of the source"),
        field("lang", pa.string(), "most likely language"),
        field("documents", pa.int64(), "documents that there are", "documents"),
        field("text_bytes", pa.int64(), "their text", "bytes"),
        field("share", pa.float64(), "share of the sample that the recipe asks for"),
        field("fraction", pa.float64(), "fraction of the documents that is drawn; 1 if there are too few"),
        field("drawn_documents", pa.int64(), "documents drawn", "documents"),
        field("drawn_bytes", pa.int64(), "their text", "bytes"),
    ],
)

FERTILITY = table(
    "fertility",
    "Tokens per word and bytes per token of the tokenizer, by language, on kept documents that are drawn by hash.",
    [
        field("lang", pa.string(), "most likely language"),
        field("documents", pa.int64(), "documents measured", "documents"),
        field("text_bytes", pa.int64(), "their text", "bytes"),
        field("characters", pa.int64(), "their text", "characters"),
        field(
            "words", pa.int64(), "their words: signal gopher_words, of little use where no spaces are written", "words"
        ),
        field("tokens", pa.int64(), "token ids, ends of documents left out", "tokens"),
        field("bytes_per_token", pa.float64(), "text_bytes / tokens", "bytes"),
        field("tokens_per_word", pa.float64(), "tokens / words; NaN without words", "tokens"),
    ],
)


TABLES: dict[str, pa.Schema] = {
    "documents": DOCUMENTS,
    "ingested": INGESTED,
    "removed_lines": REMOVED_LINES,
    "dead_letters": DEAD_LETTERS,
    "signals": SIGNALS,
    "contamination": CONTAMINATION,
    "duplicates": DUPLICATES,
    "decisions": DECISIONS,
    "index": INDEX,
    "removals": REMOVALS,
}
