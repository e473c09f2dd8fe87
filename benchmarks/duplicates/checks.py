"""What deduplication promises, counted over a curated workspace against brute force.

Every count is named for what it counts and lists the documents behind it, so that a broken promise can be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from benchmarks.duplicates.brute_force import Pairs, jaccard, shingle_set, similar_pairs
from benchmarks.duplicates.curves import BINS, bin_of
from pipelines.beam.driver import load_workspace
from pipelines.contracts.dedup import Near
from pipelines.contracts.recipe import Recipe
from pipelines.kernels.lsh import band_keys
from pipelines.ops.normal_urls import normalise_url
from pipelines.stages.decide import DUPLICATE_REASONS


@dataclass(frozen=True)
class Corpus:
    """The documents of a workspace (or of some of its sources) with what was decided on them.

    Attributes:
        recipe: the recipe.
        rows: one dict per document: columns of `documents`, `decisions` and, of members, `duplicates`.
        shingles: `[documents]` exact shingle sets.
        keys: uint64 `[documents, bands]`, meaningless for documents without shingles.
    """

    recipe: Recipe
    rows: list[dict]
    shingles: list[frozenset[str]]
    keys: np.ndarray

    @property
    def near(self) -> Near:
        """The parameters of the search."""
        assert self.recipe.dedup.near is not None
        return self.recipe.dedup.near

    def passes_rules(self, number: int) -> bool:
        """Whether nothing but being a duplicate speaks against a document."""
        return set(self.rows[number]["failed_rules"]) <= set(DUPLICATE_REASONS.values())

    def column(self, name: str) -> np.ndarray:
        """Return a column of `rows`."""
        return np.array([row[name] for row in self.rows])


def read_corpus(workspace: str, sources: Iterable[str] | None = None) -> Corpus:
    """Read all documents, or those of some sources, of a workspace that is curated up to `decide`."""
    context, _ = load_workspace(workspace)
    near = context.recipe.dedup.near
    assert near is not None
    documents, decisions, duplicates, sketches = (
        pa.concat_tables(pq.read_table(path) for path in sorted(Path(workspace, name).glob("part-*.parquet")))
        for name in ("documents", "decisions", "duplicates", "signatures")
    )
    members = {(row["part"], row["row"]): row for row in duplicates.to_pylist()}
    columns = ["doc_id", "part", "row", "source", "url", "text", "content_hash"]
    rows = []
    for document, decision in zip(documents.select(columns).to_pylist(), decisions.to_pylist(), strict=True):
        member = members.get((document["part"], document["row"]), {"kind": None, "leader": None, "similarity": None})
        rows.append({**member, **decision, **document})
    wanted = [i for i, row in enumerate(rows) if sources is None or row["source"] in set(sources)]
    signatures = sketches["signature"].combine_chunks().flatten().to_numpy().reshape(-1, near.num_perm)
    keys = band_keys(signatures, near.bands, near.rows)[wanted]
    chosen = [rows[i] for i in wanted]
    return Corpus(context.recipe, chosen, [shingle_set(row["text"], near) for row in chosen], keys)


def candidate_pairs(corpus: Corpus) -> Pairs:
    """Return all pairs that share a band (of documents with shingles), with their exact similarity."""
    long_enough = np.flatnonzero([bool(each) for each in corpus.shingles])
    _, number = np.unique(corpus.keys[long_enough], return_inverse=True)
    count, bands = len(long_enough), corpus.keys.shape[1]
    shape = (count, int(number.max()) + 1 if number.size else 1)
    matrix = csr_matrix((np.ones(number.size, np.int32), number.ravel(), np.arange(0, count * bands + 1, bands)), shape)
    shared = (matrix @ matrix.T).tocoo()
    each = shared.row < shared.col
    left, right = long_enough[shared.row[each]], long_enough[shared.col[each]]
    sets = corpus.shingles
    similarity = np.array([jaccard(sets[a], sets[b]) for a, b in zip(left, right, strict=True)], np.float64)
    return Pairs(left, right, similarity)


@dataclass
class Guarantees:
    """Counts of what was looked at and lists of what broke a promise (all lists are empty in a sound workspace).

    Attributes:
        removed: documents removed as exact or near duplicates, by kind.
        candidates: candidate pairs.
        passing: documents that nothing but being a duplicate speaks against.
        rescued: components whose best document by text length fails a rule while another member is kept.
        no_kept_leader: removed documents whose leader is not kept.
        unlike_leader: removed documents below the threshold to their leader, or with another similarity than stated;
            of those removed by address: no other version of the address is kept or repeats the same leader.
        kept_candidates: kept pairs that were candidates and reach the threshold, or have the same text.
        lost: documents that pass all rules and are neither kept nor led by a kept one at the threshold.
        straddling: candidate pairs (copies and versions of an address, too) of which one is held out and one is not.
    """

    removed: dict[str, int] = field(default_factory=dict)
    candidates: int = 0
    passing: int = 0
    rescued: int = 0
    no_kept_leader: list[str] = field(default_factory=list)
    unlike_leader: list[str] = field(default_factory=list)
    kept_candidates: list[tuple[str, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    straddling: list[tuple[str, str]] = field(default_factory=list)

    @property
    def broken(self) -> dict[str, list]:
        """The promises that were broken."""
        names = ("no_kept_leader", "unlike_leader", "kept_candidates", "lost", "straddling")
        return {name: found for name in names if (found := getattr(self, name))}


def check_guarantees(corpus: Corpus, candidates: Pairs) -> Guarantees:
    """Hold a workspace against every promise; `candidates` as `candidate_pairs` finds them."""
    found = Guarantees(candidates=len(candidates), rescued=_rescued(corpus))
    check_leaders(corpus, found)
    _check_pairs(corpus, candidates, found)
    return found


def check_leaders(corpus: Corpus, found: Guarantees) -> None:
    """Hold every document against its leader; adds to `found`."""
    number_of = {row["doc_id"]: number for number, row in enumerate(corpus.rows)}
    by_address: dict[str, set[int]] = {}
    for number, row in enumerate(corpus.rows):
        by_address.setdefault(normalise_url(row["url"] or row["doc_id"]), set()).add(number)
    for number, row in enumerate(corpus.rows):
        kind = row["kind"]
        found.passing += corpus.passes_rules(number)
        if kind is None:
            if corpus.passes_rules(number) and not row["kept"]:
                found.lost.append(row["doc_id"])
            continue
        found.removed[kind] = found.removed.get(kind, 0) + 1
        leader = number_of[row["leader"]]
        if not corpus.rows[leader]["kept"]:
            found.no_kept_leader.append(row["doc_id"])
        if kind == "url":
            versions = by_address[normalise_url(row["url"])]
            alike = any(
                corpus.rows[v]["kept"] or corpus.rows[v]["leader"] == row["leader"] for v in versions - {number}
            )
        elif kind == "exact":
            alike = corpus.rows[leader]["text"] == row["text"]
        else:
            exact = jaccard(corpus.shingles[number], corpus.shingles[leader])
            alike = exact >= corpus.near.threshold and row["similarity"] == exact
        if not alike:
            found.unlike_leader.append(row["doc_id"])


def _check_pairs(corpus: Corpus, candidates: Pairs, found: Guarantees) -> None:
    kept, split, ids = corpus.column("kept"), corpus.column("split"), corpus.column("doc_id")
    left, right = candidates.left, candidates.right
    both = kept[left] & kept[right] & (candidates.similarity >= corpus.near.threshold)
    across = split[left] != split[right]
    first: dict[str, int] = {}
    for number, row in enumerate(corpus.rows):
        for key in (row["content_hash"], row["url"] and normalise_url(row["url"])):
            other = first.setdefault(key or row["doc_id"], number)
            if split[other] != split[number]:
                found.straddling.append((ids[other], ids[number]))
    keepers: dict[str, int] = {}
    for number in np.flatnonzero(kept):
        other = keepers.setdefault(corpus.rows[number]["content_hash"], number)
        if other != number:
            found.kept_candidates.append((ids[other], ids[number]))
    found.kept_candidates += list(zip(ids[left[both]], ids[right[both]], strict=True))
    found.straddling += list(zip(ids[left[across]], ids[right[across]], strict=True))


def _rescued(corpus: Corpus) -> int:
    """Count components whose longest member fails a rule while another member is kept."""
    longest: dict[str, int] = {}
    kept: set[str] = set()
    for number, row in enumerate(corpus.rows):
        component = row.get("component_id")
        if component is None:
            continue
        if len(row["text"]) > len(corpus.rows[longest.setdefault(component, number)]["text"]):
            longest[component] = number
        if row["kept"]:
            kept.add(component)
    return sum(component in kept and not corpus.passes_rules(number) for component, number in longest.items())


@dataclass(frozen=True)
class RemovalBin:
    """Documents by their similarity to the nearest kept document other than themselves.

    Attributes:
        name: the bin; the first is "below .3".
        documents: documents that pass all rules.
        removed: those removed as duplicates.
    """

    name: str
    documents: int
    removed: int


def removals(corpus: Corpus, pairs: Pairs, among: np.ndarray | None = None) -> list[RemovalBin]:
    """Count what was removed by similarity to the nearest kept document.

    A perfect search removes nothing below the threshold (precision) and everything from it on, except one keeper
    each (recall).

    Args:
        corpus: the documents.
        pairs: as `all_similar_pairs` finds them.
        among: bool `[documents]`: which to count; all if None.
    """
    kept = corpus.column("kept")
    nearest = np.zeros(len(corpus.rows))
    for one, other in ((pairs.left, pairs.right), (pairs.right, pairs.left)):
        mine = kept[other]
        np.maximum.at(nearest, one[mine], pairs.similarity[mine])
    keepers = {row["content_hash"] for row in corpus.rows if row["kept"]}
    counts = np.array([corpus.passes_rules(number) for number in range(len(corpus.rows))])
    if among is not None:
        counts &= among
    removed = corpus.column("kind") != np.array(None)
    copy = removed & np.array([row["content_hash"] in keepers for row in corpus.rows])
    nearest[copy] = 1.0
    bins = np.where(nearest < 0.3, -1, bin_of(nearest))
    counted = []
    for index, name in enumerate(("below .3", *BINS), start=-1):
        mine = counts & (bins == index)
        counted.append(RemovalBin(name, int(mine.sum()), int((mine & removed).sum())))
    return counted


def one_per_component(corpus: Corpus, candidates: Pairs) -> tuple[int, int]:
    """Say what the usual way would do: keep the longest of every connected component of candidates.

    Returns:
        Documents that it would remove, and those of them that are below the threshold to the kept one.
    """
    passing = np.array([corpus.passes_rules(number) for number in range(len(corpus.rows))])
    mine = passing[candidates.left] & passing[candidates.right]
    first: dict[str, int] = {}
    copies = [(first.setdefault(row["content_hash"], i), i) for i, row in enumerate(corpus.rows) if passing[i]]
    left = np.concatenate([candidates.left[mine], [a for a, _ in copies]])
    right = np.concatenate([candidates.right[mine], [b for _, b in copies]])
    count = len(corpus.rows)
    _, label = connected_components(coo_matrix((np.ones(len(left)), (left, right)), (count, count)), directed=False)
    keeper: dict[int, int] = {}
    for number in np.flatnonzero(passing):
        best = keeper.setdefault(label[number], number)
        if len(corpus.rows[number]["text"]) > len(corpus.rows[best]["text"]):
            keeper[label[number]] = number
    removed = [number for number in np.flatnonzero(passing) if keeper[label[number]] != number]
    unlike = [number for number in removed if not _repeats(corpus, number, keeper[label[number]])]
    return len(removed), len(unlike)


def _repeats(corpus: Corpus, number: int, other: int) -> bool:
    same = corpus.rows[number]["content_hash"] == corpus.rows[other]["content_hash"]
    return same or jaccard(corpus.shingles[number], corpus.shingles[other]) >= corpus.near.threshold


def all_similar_pairs(corpus: Corpus) -> Pairs:
    """Return the brute-force pairs of a corpus with a similarity of at least .3."""
    return similar_pairs(corpus.shingles)
