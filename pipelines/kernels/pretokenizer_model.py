"""Which pre-tokenizers of a `tokenizer.json` the kernels cover, and what each is called."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

GPT2, CL100K, DEEPSEEK = 0, 1, 2

_GPT2_REGEX: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CL100K_REGEX: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TIKTOKEN_REGEX: Final = (  # the same pieces, as tiktoken's cl100k_base is converted to Hugging Face
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
_DEEPSEEK_REGEXES: Final = (
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r'[!"#$%&' + r"'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
)


class Machine(NamedTuple):
    r"""A pre-tokenizer.

    Attributes:
        kind: GPT2, CL100K or DEEPSEEK.
        digits: how many numbers `\p{N}` may stand together; GPT2 does not read it.
    """

    kind: int
    digits: int


_MACHINES: Final[dict[tuple[str, ...], Machine]] = {
    (_GPT2_REGEX,): Machine(GPT2, 0),
    **{
        (regex % count,): Machine(CL100K, digits)
        for regex in (_CL100K_REGEX, _TIKTOKEN_REGEX)
        for count, digits in (("", 1), ("{1,3}", 3))
    },
    _DEEPSEEK_REGEXES: Machine(DEEPSEEK, 3),
}


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _splits(*regexes: str) -> dict[str, Any]:
    splits = [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False} for regex in regexes
    ]
    return {"type": "Sequence", "pretokenizers": [*splits, _byte_level(use_regex=False)]}


CONFIGURATIONS: Final[dict[str, dict[str, Any]]] = {
    "gpt2": _byte_level(use_regex=True),
    "llama3": _splits(_CL100K_REGEX % "{1,3}"),
    "qwen": _splits(_CL100K_REGEX % ""),
    "deepseek": _splits(*_DEEPSEEK_REGEXES),
}
"""The `pre_tokenizer` of a `tokenizer.json`, by the model whose tokenizer has it."""


def find_machine(pre_tokenizer: dict[str, Any] | None) -> Machine | None:
    """Return the machine that equals the `pre_tokenizer` of a `tokenizer.json`; None if no machine does."""
    body = pre_tokenizer or {}
    steps = body["pretokenizers"] if body.get("type") == "Sequence" else [body]
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space", True):
        return None
    regexes = []
    for step in steps[:-1]:
        regex = (step.get("pattern") or {}).get("Regex")
        if step.get("type") != "Split" or step.get("behavior") != "Isolated" or step.get("invert") or regex is None:
            return None
        regexes.append(regex.replace("\r", r"\r").replace("\n", r"\n"))
    if steps[-1].get("use_regex", True):
        regexes.append(_GPT2_REGEX)
    return _MACHINES.get(tuple(regexes))
