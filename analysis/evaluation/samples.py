"""Samples: held-out documents whose beginning a model continues, beside how they really go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.data import HeldOut
from analysis.evaluation.generation import Sampling, TextGenerator, generate
from analysis.evaluation.text_overlap import REASON, overlap

PROMPT_TOKENS = 32
_CUT_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class Prompt:
    """The beginning of a document, and as much of what follows as a model will write."""

    target: str
    doc_id: str
    text: str
    reference: str


def heldout_prompts(
    model: TextGenerator, heldout: HeldOut, texts: Sequence[str], n_prompts: int, prompt_tokens: int, new_tokens: int
) -> list[Prompt]:
    """Cut documents where a model is to go on.

    Args:
        model: its tokens are counted, so that prompts of two tokenizers may end at different places.
        heldout: documents of a target.
        texts: their texts.
        n_prompts: prompts wanted, in the order of the documents, at most one per component.
        prompt_tokens: tokens of the beginning.
        new_tokens: tokens of what follows.

    Returns:
        Prompts of the documents that are long enough; both parts end with a whole character.
    """
    prompts: list[Prompt] = []
    seen: set[str] = set()
    for doc_id, component, text in zip(heldout.doc_id, heldout.component, texts, strict=True):
        if len(prompts) == n_prompts:
            break
        ids = model.encode(text)
        if len(ids) < prompt_tokens + new_tokens or str(component) in seen:
            continue
        stop = len(model.decode(ids[:prompt_tokens]).rstrip(_CUT_CHARACTER))
        end = len(model.decode(ids[: prompt_tokens + new_tokens]).rstrip(_CUT_CHARACTER))
        seen.add(str(component))
        prompts.append(Prompt(heldout.target, str(doc_id), text[:stop], text[stop:end]))
    return prompts


def sample_rows(model: TextGenerator, prompts: Sequence[Prompt], sampling: Sampling) -> list[dict[str, Any]]:
    """Let a model continue prompts; rows of the table `samples` without the run."""
    written = generate(model, [prompt.text for prompt in prompts], sampling)
    return [
        {
            "target": prompt.target,
            "doc_id": prompt.doc_id,
            "prompt": prompt.text,
            "reference": prompt.reference,
            "continuation": text,
            "sampling": str(sampling),
        }
        for prompt, text in zip(prompts, written, strict=True)
    ]


def score_samples(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare continuations with what followed, target by target; rows of `sample_scores` without the run."""
    found = []
    for target in dict.fromkeys(row["target"] for row in rows):
        mine = [row for row in rows if row["target"] == target]
        one = overlap([row["continuation"] for row in mine], [row["reference"] for row in mine])
        found.append(
            {
                "target": target,
                "samples": len(mine),
                "units": one.units,
                "bleu": one.bleu,
                "rouge1": one.rouge1,
                "rouge2": one.rouge2,
                "rougeL": one.rougeL,
                "sampling": mine[0]["sampling"],
                "signature": one.signature,
                "direction": "higher",
                "decision_grade": False,
                "reason": REASON,
            }
        )
    return found
