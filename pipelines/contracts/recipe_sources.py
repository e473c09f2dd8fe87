"""The part of a recipe that says where documents come from: sources, and how their records are read."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.contracts.yaml_model import StrictModel

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
CHAPTER = (
    r"^[ \t]*(?:(?:CHAPTER|Chapter|BOOK|Book|PART|Part|ACT|Act|CANTO|Canto|LETTER|Letter|KAPITEL|Kapitel|CHAPITRE|Chapitre"
    r"|CAP[IÍ]TULO|Cap[ií]tulo|CAPITOLO|Capitolo|ГЛАВА|Глава)[ \t]+[0-9IVXLC]+\b.*|第[0-9〇零一二三四五六七八九十百千两]+[章回节].*)$"
)
"""Lines that start a chapter in most books of the large European languages and in Chinese ones."""


class Fields(StrictModel):
    """Where the parts of a document lie in a record of JSONL, CSV, Parquet or Arrow.

    Attributes:
        text: field of the text; dots reach into objects (`meta.url`). A record without it is a dead letter.
        id: field of the id in the source; like the others below, it may be missing.
        url: field of the address.
        date: field of the date.
        content: what the text field holds, which decides how text is extracted from it.
    """

    text: str = "text"
    id: str | None = "id"
    url: str | None = "url"
    date: str | None = "date"
    content: Literal["text", "html", "wikitext"] = "text"


class Defaults(StrictModel):
    """What a document gets where its record says nothing.

    Attributes:
        url: address; `{id}` stands for the id in the source and `{path}` for the file.
        date: date, ISO 8601.
    """

    url: str | None = None
    date: str | None = None

    @field_validator("url")
    @classmethod
    def _known_places(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                value.format(id="", path="")
            except (KeyError, IndexError, ValueError, AttributeError) as error:
                raise ValueError("an address with no other places than {id} and {path}") from error
        return value


class Csv(StrictModel):
    """How CSV and TSV files are written.

    Attributes:
        delimiter: one character; None means "," for csv and a tab for tsv.
        quote: the character around values that hold delimiters, line ends or (doubled) itself; None for none.
        columns: names of the columns; None means that the first record of every file names them.
    """

    delimiter: Annotated[str, Field(pattern=r"^[\x00-\x7f]$")] | None = None
    quote: Annotated[str, Field(pattern=r"^[\x21-\x7e]$")] | None = '"'
    columns: tuple[str, ...] | None = None


class Units(StrictModel):
    r"""What one document is in a file of plain text.

    Attributes:
        unit: the whole file, a line, a chapter, or what lies between separators.
        separator: for `separator`: the literal text between documents, such as "\n%\n" or "<|endoftext|>".
        chapter: for `chapter`: regular expression of the lines that start a chapter.
    """

    unit: Literal["file", "line", "chapter", "separator"] = "file"
    separator: Annotated[str, Field(min_length=1)] | None = None
    chapter: str = CHAPTER

    @field_validator("chapter")
    @classmethod
    def _compiles(cls, value: str) -> str:
        re.compile(value.encode(), re.MULTILINE)
        return value

    @model_validator(mode="after")
    def _has_separator(self) -> Units:
        if (self.unit == "separator") != (self.separator is not None):
            raise ValueError("a separator if, and only if, unit is separator")
        return self


class Source(StrictModel):
    """One named corpus.

    Attributes:
        name: name of the source; also a folder name.
        path: one glob or several, relative to the recipe file (or absolute, or gs://, s3://).
        format: how a file is cut into records.
        fields: field mapping of records that have fields.
        defaults: values for records that say nothing.
        text: what one document is in plain text.
        csv: how CSV and TSV files are written.
        encoding: declared encoding of plain text that is not UTF-8; None means that it is detected.
        group: regular expression over the URL (or path); documents with the same first group fall into
            the same split (editions of a work, architectures of a guide).
        license: for the dataset card.
    """

    name: Name
    path: tuple[str, ...]
    format: Literal["warc", "mediawiki", "jsonl", "csv", "tsv", "parquet", "arrow", "text"]
    fields: Fields = Fields()
    defaults: Defaults = Defaults()
    text: Units = Units()
    csv: Csv = Csv()
    encoding: str | None = None
    group: str | None = None
    license: str = "unknown"

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                b"".decode(value)
                if codecs.lookup(value).name in ("idna", "punycode", "undefined"):
                    raise LookupError(value)
            except LookupError as error:
                raise ValueError("an encoding that Python knows, such as cp1252 or gb18030") from error
        return value

    @field_validator("group")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None and re.compile(value).groups < 1:
            raise ValueError("a regular expression with at least one group")
        return value
