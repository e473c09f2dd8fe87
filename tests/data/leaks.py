"""Evaluation items, and documents into which they leaked in known ways, made by code."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.ops.eval_items import EvalItem
from tests.data.sentences import Writer

TEMPLATE = "Which of the following statements about the passage above is most likely to be true according to its author"
LEAKS = ("verbatim", "reformatted", "four fifths", "one word in five replaced")


@dataclass(frozen=True)
class Planted:
    """A document.

    Attributes:
        text: what it says.
        leak: one of LEAKS, or `boilerplate` (it holds the template that all items share), or `clean`.
        item: number of the item that leaked.
    """

    text: str
    leak: str
    item: int | None = None


def make_items(count: int, seed: int) -> list[EvalItem]:
    """Make items of a passage (2 to 4 sentences), the template and an answer."""
    writer = Writer(seed)
    made = []
    for number in range(count):
        passage = " ".join(writer.sentence("en") for _ in range(2 + writer.below(3)))
        made.append(EvalItem("made", f"item-{number}", f"{passage}\n{TEMPLATE}?\n{writer.sentence('en')}"))
    return made


def leaked(text: str, leak: str, writer: Writer) -> str:
    """Return an item as it stands in a document."""
    words = text.split()
    if leak == "verbatim":
        return text
    if leak == "reformatted":  # other case, other marks, other line ends, marked up
        return (
            "**"
            + ";\n> ".join(" ".join(words[i : i + 7]).upper().replace(".", " -") for i in range(0, len(words), 7))
            + "**"
        )
    if leak == "four fifths":
        return " ".join(words[: len(words) * 4 // 5])
    return " ".join(writer.sentence("en").split()[1] if writer.below(5) == 0 else word for word in words)


def make_documents(items: list[EvalItem], boilerplate: int, clean: int, seed: int) -> list[Planted]:
    """Make one document per item and leak, and documents without a leak, in an order that mixes them."""
    writer = Writer(seed)
    wanted = [(leak, number) for leak in LEAKS for number in range(len(items))]
    made = []
    for leak, number in wanted:
        inside = leaked(items[number].text, leak, writer)
        made.append(Planted(f"{writer.document('en', 8)}\n\n{inside}\n\n{writer.document('en', 8)}", leak, number))
    for index in range(boilerplate + clean):
        middle = f"{TEMPLATE}?" if index < boilerplate else ""
        text = f"{writer.document('en', 10)}\n\n{middle}\n\n{writer.document('en', 10)}"
        made.append(Planted(text, "boilerplate" if index < boilerplate else "clean"))
    return [made[i] for i in sorted(range(len(made)), key=lambda i: i * 7919 % 10007)]
