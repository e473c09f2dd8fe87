"""The recipe: what to read and how to curate it. Literals bear identity; places and runners never do.

Every default is written out in the resolved recipe that is saved in the workspace.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.contracts import ids, storage
from pipelines.contracts.dedup import Dedup
from pipelines.contracts.errors import did_you_mean
from pipelines.contracts.recipe_sources import Name, Source
from pipelines.contracts.recipe_tokenizer import Tokenizer
from pipelines.contracts.side_files import Classifier, Lists, Perplexity, SignalName
from pipelines.contracts.yaml_model import StrictModel, load_yaml_model

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Extract(StrictModel):
    """How HTML becomes text.

    Attributes:
        html: mixtrace (our model of blocks, and trafilatura where it is unsure), trafilatura or resiliparse.
        main_content: leave out navigation, comments and the like; false keeps all text that a reader sees.
        format: plain text, or Markdown (headings, lists, tables, code, quotations); for wikitext, too.
    """

    html: Literal["mixtrace", "trafilatura", "resiliparse"] = "mixtrace"
    main_content: bool = True
    format: Literal["text", "markdown"] = "text"

    @model_validator(mode="after")
    def _known_format(self) -> Extract:
        if self.html == "resiliparse" and self.format == "markdown":
            raise ValueError("html: mixtrace or trafilatura for format: markdown")
        return self


class Language(StrictModel):
    """Which model identifies languages, and how its labels become the tags that rules go by.

    Attributes:
        model: fastText model of labels (.bin, .ftz), relative to the recipe file; None is lid.176.
        prefix: what stands before every label in the model.
        tags: tag by label, for labels whose tag is to be another than docs/reference/language.md says.
        und_below: a document whose label scores less gets the tag `und` (label and score stay).
        paragraph_min_bytes: shorter paragraphs have no language in the signals of the group `language`.
        paragraph_min_score: nor have those whose language scores less.
    """

    model: str | None = None
    prefix: str = "__label__"
    tags: dict[str, Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$")]] = Field(default_factory=dict)
    und_below: Fraction = 0.0
    paragraph_min_bytes: Annotated[int, Field(ge=1)] = 30
    paragraph_min_score: Fraction = 0.8


PII_KINDS = ("secret", "email", "iban", "card", "ipv6", "ipv4", "phone")
"""Kinds of personal data, in the order in which they name stretches of text that two of them claim."""


class Pii(StrictModel):
    """Personal data and secrets that are replaced by placeholders in text, address and native id.

    Attributes:
        kinds: what to replace: any of secret, email, iban, card, ipv6, ipv4, phone; none by default.
        placeholder: `constant` is `<email>`; `keyed` adds 12 letters of an HMAC of the value, so that equal
            values can be told from others by nobody without the key (environment MIXTRACE_PII_KEY).
        phone_regions: countries (ISO 3166) whose numbers are known without +; others need the +.
    """

    kinds: tuple[Literal["secret", "email", "iban", "card", "ipv6", "ipv4", "phone"], ...] = ()
    placeholder: Literal["constant", "keyed"] = "constant"
    phone_regions: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = ("US", "GB", "DE", "FR")


class Lines(StrictModel):
    """Lines or paragraphs that many documents share are cut out before anything is measured.

    Attributes:
        unit: what is compared: lines, or paragraphs (lines between blank lines).
        min_chars: shorter units stay: letters, numbers and marks (with `exact`, all characters) count.
        min_documents: units of fewer distinct texts stay.
        keep: `one`: the document with the least content hash keeps a unit; `none`: all documents lose it.
        normalise: what makes units equal: `exact` (all but blanks at their ends), `words` (lower case, whatever
            stands between words) or `digits` (the same, and numbers of as many digits are equal).
        sources: only documents of these sources count, and lose units.
        not_sources: documents of these sources neither count nor lose units.
    """

    unit: Literal["line", "paragraph"] = "line"
    min_chars: Annotated[int, Field(ge=1)] = 20
    min_documents: Annotated[int, Field(ge=2)] = 6
    keep: Literal["one", "none"] = "one"
    normalise: Literal["exact", "words", "digits"] = "words"
    sources: tuple[str, ...] | None = None
    not_sources: tuple[str, ...] = ()

    def concerns(self, source: str) -> bool:
        """Say whether documents of a source count."""
        return source not in self.not_sources and (self.sources is None or source in self.sources)


class Rule(StrictModel):
    """A bound on one signal; a document outside of it is dropped for this rule's name.

    Attributes:
        signal: column of the signals table.
        min: least value that passes.
        max: greatest value that passes.
        above: the value must be greater than this (strict).
        below: the value must be less than this (strict).
        equals_any: for text signals such as `lang`: values that pass.
        min_by_language: least value for documents of a language, in place of `min`.
        max_by_language: greatest value for documents of a language, in place of `max`.
        languages: apply only to documents of these languages.
        sources: apply only to these sources.
        not_sources: do not apply to these sources.
    """

    signal: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    equals_any: tuple[str, ...] | None = None
    min_by_language: dict[str, float] = Field(default_factory=dict)
    max_by_language: dict[str, float] = Field(default_factory=dict)
    languages: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    not_sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _bounds_something(self) -> Rule:
        of_language = self.min_by_language or self.max_by_language
        if (self.min, self.max, self.above, self.below, self.equals_any) == (None,) * 5 and not of_language:
            raise ValueError("at least one of min, max, above, below, equals_any, min_by_language, max_by_language")
        if of_language and self.equals_any is not None:
            raise ValueError("bounds by language or equals_any, not both")
        return self


class ProfileUse(StrictModel):
    """Apply a named profile of rules (pipelines/ops/profiles.py), perhaps only to some documents."""

    name: str
    languages: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    not_sources: tuple[str, ...] = ()


class Split(StrictModel):
    """How much of each source is held out, drawn by hash of the linked component."""

    heldout_fraction: Fraction = 0.01
    min_heldout_bytes: Annotated[int, Field(ge=0)] = 200_000
    max_heldout_fraction: Fraction = 0.1
    max_component: Annotated[int, Field(ge=1)] = 1000
    seed: int = 0


class Shards(StrictModel):
    """Token shards; a worker holds one of them twice while it sorts it, so the target bounds its memory."""

    target_mb: Annotated[float, Field(gt=0)] = 128.0


class EvalItems(StrictModel):
    """Items of one evaluation task.

    Attributes:
        task: name of the task in reasons and tables.
        path: one glob or several of files: JSONL (also .gz) or Parquet, relative to the recipe file.
        text: fields whose texts make up an item, joined by line ends; dots reach into objects, lists are joined.
        id: field of the item's id; None numbers the items. Rows with the same id are one item.
    """

    task: Name
    path: tuple[str, ...]
    text: tuple[str, ...] = ("text",)
    id: str | None = "id"

    @field_validator("path", "text", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Overlap(StrictModel):
    """How much of an item makes a document contaminated.

    Attributes:
        ngram: words per n-gram.
        min_overlap: share of the distinct n-grams of an item that the document must hold.
    """

    ngram: Annotated[int, Field(ge=3, le=64)]
    min_overlap: Annotated[float, Field(gt=0.0, le=1.0)]


class Decontaminate(StrictModel):
    """Documents that hold evaluation items are dropped for the reason `contaminated`.

    Attributes:
        items: the evaluation items; none, and nothing is looked for.
        overlaps: a document is contaminated if it reaches one of these.
        max_documents: n-grams in more documents of the corpus than this are boilerplate and do not count.
    """

    items: tuple[EvalItems, ...] = ()
    overlaps: tuple[Overlap, ...] = (Overlap(ngram=13, min_overlap=0.1), Overlap(ngram=8, min_overlap=0.1))
    max_documents: Annotated[int, Field(ge=1)] = 10

    @model_validator(mode="after")
    def _each_length_once(self) -> Decontaminate:
        lengths = [overlap.ngram for overlap in self.overlaps]
        if not lengths or len(set(lengths)) < len(lengths):
            raise ValueError(f"every n-gram length once, and at least one, not {lengths}")
        return self

    @property
    def lengths(self) -> tuple[int, ...]:
        """The n-gram lengths, ascending."""
        return tuple(sorted(overlap.ngram for overlap in self.overlaps))


class Limits(StrictModel):
    """Limits that are stated in errors when they are reached.

    Attributes:
        max_record_mb: a longer record is a dead letter and is never held in memory; nor is a longer row.
        max_page_mb: a longer body of an HTTP response, once its encodings are undone, is a dead letter.
        max_inflation: decompressed bytes that a compressed file may give per byte of its own; at no place may it
            be ahead of that by more than 64 MB (or one record of `max_record_mb`). The member that is ahead is a
            dead letter.
        max_dead_letter_fraction: fraction of input bytes that may be dead letters before the job ends with exit code 3.
        keep_dead_letter_bytes: keep the first 64 KiB of every dead letter.
    """

    max_record_mb: Annotated[float, Field(gt=0)] = 64.0
    max_page_mb: Annotated[float, Field(gt=0)] = 16.0
    max_inflation: Annotated[float, Field(ge=1)] = 200.0
    max_dead_letter_fraction: Fraction = 0.01
    keep_dead_letter_bytes: bool = True


class Recipe(StrictModel):
    """A whole recipe.

    Attributes:
        lines: lines that many documents share are cut out; absent, nothing is.
        classifiers: fastText classifiers by name.
        signals: groups of signals to measure beside those that the rules read (docs/reference/signals-and-rules.md).
    """

    name: Name
    sources: tuple[Source, ...]
    part_mb: Annotated[float, Field(gt=0)] = 16.0
    sample: Fraction = 1.0
    extract: Extract = Extract()
    pii: Pii = Pii()
    lists: Lists = Lists()
    lines: Lines | None = None
    language: Language = Language()
    classifiers: dict[SignalName, Classifier] = Field(default_factory=dict)
    perplexity: Perplexity | None = None
    profiles: tuple[ProfileUse, ...] = ()
    rules: dict[Name, Rule] = Field(default_factory=dict)
    signals: tuple[str, ...] = ()
    decontaminate: Decontaminate = Decontaminate()
    dedup: Dedup = Dedup()
    split: Split = Split()
    tokenizer: Tokenizer = Tokenizer()
    shards: Shards = Shards()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _names_agree(self) -> Recipe:
        names = [source.name for source in self.sources]
        if not names:
            raise ValueError("at least one source")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"every source name once, not {', '.join(twice)} twice")
        lines = () if self.lines is None else (self.lines,)
        uses = (*self.profiles, *self.rules.values(), *lines)
        used = [name for use in uses for name in (*(use.sources or ()), *use.not_sources)]
        for name in (*used, *self.dedup.source_priority, *self.tokenizer.source_shares):
            if name not in names:
                raise ValueError(f"sources of this recipe, not {name!r}. {did_you_mean(name, names)}")
        return self

    @property
    def recipe_id(self) -> str:
        """Hash of every literal except places (paths of sources, models, list files, evaluation items, earlier builds)."""
        body = self.model_dump(mode="json")
        body["sources"].sort(key=lambda source: source["name"])  # their order changes no output
        for source in body["sources"]:
            del source["path"]
        del body["tokenizer"]["path"], body["language"]["model"], body["lists"], body["dedup"]["against"]
        for items in body["decontaminate"]["items"]:
            del items["path"]
        for model in (*body["classifiers"].values(), body["perplexity"] or {"path": ""}):
            del model["path"]
        return ids.fingerprint(body)

    def source(self, name: str) -> Source:
        """Return a source by name."""
        return next(source for source in self.sources if source.name == name)


def load_recipe(path: str) -> Recipe:
    """Read a recipe; its paths become absolute (they are relative to the recipe file).

    Raises:
        ConfigError: naming file, line, column, what was found and what was expected.
    """
    recipe = load_yaml_model(path, Recipe)
    base = storage.absolute_folder(path)

    def move(path: str) -> str:
        return storage.resolve(base, path)

    tokenizer, language = recipe.tokenizer, recipe.language
    if tokenizer.path is not None:
        tokenizer = tokenizer.model_copy(update={"path": move(tokenizer.path)})
    if language.model is not None:
        language = language.model_copy(update={"model": move(language.model)})
    items = tuple(i.model_copy(update={"path": tuple(map(move, i.path))}) for i in recipe.decontaminate.items)
    moved = {
        "sources": tuple(s.model_copy(update={"path": tuple(map(move, s.path))}) for s in recipe.sources),
        "tokenizer": tokenizer,
        "language": language,
        "lists": recipe.lists.moved(move),
        "classifiers": {name: model.moved(move) for name, model in recipe.classifiers.items()},
        "perplexity": recipe.perplexity and recipe.perplexity.moved(move),
        "decontaminate": recipe.decontaminate.model_copy(update={"items": items}),
        "dedup": recipe.dedup.model_copy(update={"against": tuple(map(move, recipe.dedup.against))}),
    }
    return recipe.model_copy(update=moved)
