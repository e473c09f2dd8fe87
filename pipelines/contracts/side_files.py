"""What a recipe says about files beside it that signals are measured with: lists, classifiers, n-gram models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, model_validator

from pipelines.contracts import storage
from pipelines.contracts.yaml_model import StrictModel

SignalName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Lists(StrictModel):
    """List files of the user, relative to the recipe file; they feed the group of signals `lists`.

    Attributes:
        url_block: domains (with all their subdomains) and whole URLs; of two entries the longer one decides.
        url_allow: the same, for what is allowed although `url_block` holds it.
        url_words: words that count in URLs.
        bad_words: words and phrases that count in texts, by language of the text; `any` is for all languages.
    """

    url_block: tuple[str, ...] = ()
    url_allow: tuple[str, ...] = ()
    url_words: tuple[str, ...] = ()
    bad_words: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """All files."""
        return (*self.url_block, *self.url_allow, *self.url_words, *(p for ps in self.bad_words.values() for p in ps))

    def moved(self, move: Callable[[str], str]) -> Lists:
        """Return the same lists with every path put through a function."""
        return Lists(
            url_block=tuple(map(move, self.url_block)),
            url_allow=tuple(map(move, self.url_allow)),
            url_words=tuple(map(move, self.url_words)),
            bad_words={language: tuple(map(move, paths)) for language, paths in self.bad_words.items()},
        )


class Classifier(StrictModel):
    """A fastText classifier; its probability of one label is the signal `classifier_<name>`.

    Attributes:
        path: model file (`.bin`, `.ftz`), relative to the recipe file.
        label: the label, with its prefix.
    """

    path: str
    label: str = "__label__positive"

    def moved(self, move: Callable[[str], str]) -> Classifier:
        """Return the same with the path put through a function."""
        return self.model_copy(update={"path": move(self.path)})


class Perplexity(StrictModel):
    """n-gram models of `mixtrace perplexity train`; they feed the signals `perplexity` and `perplexity_bucket`.

    Attributes:
        path: folder with a file `<language>.arrow` per language, relative to the recipe file.
        languages: the languages that are measured; other documents have no perplexity, and no rule judges them by it.
    """

    path: str
    languages: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ...]

    @property
    def files(self) -> dict[str, str]:
        """The file of every language."""
        return {language: storage.join(self.path, f"{language}.arrow") for language in sorted(self.languages)}

    def moved(self, move: Callable[[str], str]) -> Perplexity:
        """Return the same with the path put through a function."""
        return self.model_copy(update={"path": move(self.path)})

    @model_validator(mode="after")
    def _each_language_once(self) -> Perplexity:
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise ValueError(f"every language once, and at least one, not {list(self.languages)}")
        return self
