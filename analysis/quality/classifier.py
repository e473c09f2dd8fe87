"""Train a fastText classifier that tells two classes of texts apart, and measure it on held-out texts.

Joulin et al. 2016, arXiv:1607.01759; as a quality filter: Brown et al. 2020 (arXiv:2005.14165), Li et al. 2024
(arXiv:2406.11794). One thread and a fixed order of examples give the same bytes every time.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.quality.texts import Chosen
from pipelines.contracts import ids
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.kernels.classifier_text import one_line

POSITIVE, NEGATIVE = "__label__positive", "__label__negative"
PACKAGE = "fasttext-community"


@dataclass(frozen=True)
class Training:
    """Settings of fastText, and how examples are dealt.

    Attributes:
        dim: length of the vectors.
        epoch: passes over the examples.
        lr: learning rate at the start; it falls to 0.
        word_ngrams: longest run of words that has a vector.
        minn: shortest run of characters inside a word that has a vector; 0 for none.
        maxn: longest one; 0 for none.
        buckets: rows that runs of words and of characters share by hash.
        min_count: words that are rarer are unknown.
        seed: of the first vectors and of every draw.
        balance: `downsample` takes as many examples of the larger class as there are of the smaller one.
        heldout: share of the groups that is measured on and never trained on.
        min_heldout: least held-out texts of each class.
        drop_shared: leave out texts that both classes hold, instead of refusing them.
    """

    dim: int = 16
    epoch: int = 10
    lr: float = 0.5
    word_ngrams: int = 2
    minn: int = 0
    maxn: int = 0
    buckets: int = 200_000
    min_count: int = 1
    seed: int = 0
    balance: Literal["none", "downsample"] = "none"
    heldout: float = 0.2
    min_heldout: int = 20
    drop_shared: bool = False


@dataclass(frozen=True)
class Examples:
    """Examples of both classes, ready for fastText.

    Attributes:
        table: key, source, lang, group, text (one line each), positive, heldout; sorted by the hash of the key.
        counts: what became of the chosen texts, by class.
    """

    table: pa.Table
    counts: dict[str, dict[str, int]]

    def part(self, *, heldout: bool) -> pa.Table:
        """Return the examples that are, or are not, held out."""
        return self.table.filter(pc.equal(self.table["heldout"], heldout))

    def sources(self) -> dict[str, dict[str, int]]:
        """Count the examples by class and source."""
        found: dict[str, Counter] = {"positive": Counter(), "negative": Counter()}
        for positive, source in zip(self.table["positive"].to_pylist(), self.table["source"].to_pylist(), strict=True):
            found["positive" if positive else "negative"][source] += 1
        return {name: dict(sorted(counter.items())) for name, counter in found.items()}


def make_examples(positive: Chosen, negative: Chosen, training: Training) -> Examples:
    """Deal the texts of two classes into training and held-out examples.

    Of texts that are equal after `one_line`, one stays per class. What lies in one group (a component of
    near-duplicates, for files the text) is trained on or held out as a whole, whichever classes it has.

    Raises:
        ConfigError: if a text is in both classes.
        InputError: if fewer than `min_heldout` texts of a class are held out, or none is left to train on.
    """
    tables, counts = [], {}
    for name, chosen in (("positive", positive), ("negative", negative)):
        table = _distinct(chosen.table)
        counts[name] = {**chosen.counts, "repeated": len(chosen.table) - len(table)}
        tables.append(table)
    tables = _without_shared(*tables, counts, drop=training.drop_shared)
    labels = (pa.array(np.full(len(table), value)) for table, value in zip(tables, (True, False), strict=True))
    table = pa.concat_tables(t.append_column("positive", label) for t, label in zip(tables, labels, strict=True))
    heldout = [
        ids.fraction(group, f"heldout/{training.seed}") < training.heldout for group in table["group"].to_pylist()
    ]
    table = table.append_column("heldout", pa.array(heldout, pa.bool_()))
    order = np.argsort([ids.fraction(key, f"order/{training.seed}") for key in table["key"].to_pylist()], kind="stable")
    examples = Examples(_balanced(table.take(pa.array(order)), counts, training), counts)
    _check_sizes(examples, training)
    return examples


def _distinct(table: pa.Table) -> pa.Table:
    """Put texts on one line; of equal ones keep the first by key, and none that is blank then."""
    lines = one_line(table["text"].combine_chunks())
    table = table.set_column(table.schema.get_field_index("text"), "text", lines)
    seen: set[str] = set()
    keep, hashes = [], []
    for line in lines.to_pylist():
        content = ids.content_hash(line)
        keep.append(bool(line.strip(" ")) and content not in seen)
        seen.add(content)
        hashes.append(content)
    return table.append_column("content", pa.array(hashes, pa.string())).filter(pa.array(keep, pa.bool_()))


def _without_shared(
    positive: pa.Table, negative: pa.Table, counts: dict[str, dict[str, int]], *, drop: bool
) -> list[pa.Table]:
    shared = pc.is_in(positive["content"], value_set=negative["content"].combine_chunks())
    number = pc.sum(shared).as_py() or 0
    if number and not drop:
        some = ", ".join(positive["key"].filter(shared).to_pylist()[:3])
        hint = "Make the conditions exclude each other, or leave such texts out (--drop-shared)."
        raise ConfigError(message("examples", f"{number} texts in both classes", some, "each in one class", hint))
    tables = []
    for name, table, other in (("positive", positive, negative), ("negative", negative, positive)):
        counts[name]["shared"] = number
        kept = pc.invert(pc.is_in(table["content"], value_set=other["content"].combine_chunks()))
        tables.append(table.filter(kept).drop_columns("content"))
    return tables


def _balanced(table: pa.Table, counts: dict[str, dict[str, int]], training: Training) -> pa.Table:
    """Take the larger class of the training examples down to the smaller one; count all examples."""
    positive, heldout = (np.asarray(table[name]) for name in ("positive", "heldout"))
    places = {True: np.flatnonzero(positive & ~heldout), False: np.flatnonzero(~positive & ~heldout)}
    most = min(map(len, places.values())) if training.balance == "downsample" else len(table)
    keep = heldout.copy()
    for is_positive, where in places.items():
        keep[where[:most]] = True  # the order is that of a hash
        own = counts["positive" if is_positive else "negative"]
        own["unbalanced"] = len(where) - min(most, len(where))
        own["train"], own["heldout"] = min(most, len(where)), int((heldout & (positive == is_positive)).sum())
    return table.filter(pa.array(keep))


def _check_sizes(examples: Examples, training: Training) -> None:
    for name, counts in examples.counts.items():
        if counts["heldout"] < training.min_heldout:
            expected = f"at least {training.min_heldout} (min_heldout)"
            hint = "Choose more documents, or raise the held-out share."
            raise InputError(message(name, "too few held-out texts", counts["heldout"], expected, hint))
        if not counts["train"]:
            raise InputError(message(name, "nothing to train on", 0, "at least one text that is not held out"))


def train_model(examples: pa.Table, training: Training) -> bytes:
    """Train fastText with one thread; the same examples and settings give the same bytes.

    Args:
        examples: text and positive, in the order of training.
        training: settings.

    Returns:
        The model file (`.bin`).

    Raises:
        ConfigError: if fastText is not installed.
    """
    try:
        import fasttext
    except ModuleNotFoundError as error:
        raise ConfigError(
            message("classifier train", "fastText is not installed", error.name, "an installation with [classifier]")
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "examples.txt"
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for positive, text in zip(examples["positive"].to_pylist(), examples["text"].to_pylist(), strict=True):
                file.write(f"{POSITIVE if positive else NEGATIVE} {text}\n")
        model = fasttext.train_supervised(
            str(path), dim=training.dim, epoch=training.epoch, lr=training.lr, wordNgrams=training.word_ngrams,
            minn=training.minn, maxn=training.maxn, bucket=training.buckets, minCount=training.min_count,
            seed=training.seed, thread=1, loss="softmax", verbose=0,
        )  # fmt: skip
        model.save_model(str(Path(folder) / "model.bin"))
        return (Path(folder) / "model.bin").read_bytes()


def settings(training: Training) -> dict[str, object]:
    """Return the settings of a training and the version of the library."""
    return {**asdict(training), "thread": 1, "loss": "softmax", PACKAGE: importlib.metadata.version(PACKAGE)}
