"""Equality of evaluation with the libraries that define it, on a run of ours and real text.

    python -m benchmarks.evaluation_equality build/demo/analysis/STUDY/runs/full-0 [--keep]

Prints a table: what is compared, how often, the largest difference; `--keep` puts it into docs/reference/equality.md.
Exits with 1 if a difference is larger than stated.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import torch
from lm_eval import simple_evaluate
from lm_eval.api.model import TemplateLM
from lm_eval.tasks import TaskManager
from rouge_score.rouge_scorer import RougeScorer
from sklearn import metrics
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from analysis.evaluate_model import target_slices
from analysis.evaluation.generation import Sampling, TextGenerator, generate_ids, truncated
from analysis.evaluation.lm_eval_adapter import write_task
from analysis.evaluation.samples import Prompt, heldout_prompts, sample_rows
from analysis.evaluation.task_command import cloze_heldouts
from analysis.evaluation.tasks import task_items
from analysis.evaluation.text_generators import open_generator
from analysis.evaluation.text_items import TextItem, TextScorer, score_text_items
from analysis.evaluation.text_overlap import overlap
from analysis.evaluation.text_scorers import open_run, open_scorer, workspace_of
from analysis.models.hf_export import export_run
from analysis.models.hf_import import HfLogProb, load_hf
from analysis.models.llama import Past
from analysis.slices import partition
from analysis.statistics.classification import multiclass
from benchmarks.chain import keep_section
from pipelines.contracts.errors import ConfigError, message

PAGE = Path("docs/reference/equality.md")
NEW_TOKENS = 24


@dataclass(frozen=True)
class Row:
    """One comparison: the peer, what is compared, on how much, the largest difference, and the largest allowed."""

    peer: str
    what: str
    cases: int
    difference: float
    allowed: float


class PlainLM(TemplateLM):
    """lm-eval's own splitting of tokens over the logits of `transformers`, one text at a time."""

    backend = "causal"
    eot_token_id = 0

    def __init__(self, model: HfLogProb) -> None:
        super().__init__()
        self._model, self._context = model, model.context

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Encode after the token that starts a text."""
        ids = self._model.tokenizer(string, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [self._model.start_id, *ids]

    def _loglikelihood_tokens(self, requests: Sequence[Any], disable_tqdm: bool = False, **_: Any) -> list[Any]:
        return [self._one(context, asked) for _, context, asked in requests]

    def _one(self, context: list[int], asked: list[int]) -> tuple[float, bool]:
        row = [*context, *asked][-(self._context + 1) :]
        with torch.inference_mode():
            logits = self._model.model(torch.tensor([row[:-1]])).logits[0, -len(asked) :].double()
        logp = logits.log_softmax(-1)[range(len(asked)), asked].sum()
        return float(logp), logits.argmax(-1).tolist() == list(asked)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Refuse: items with choices are all that is compared."""
        raise ConfigError(message("lm-eval", "not compared", "loglikelihood_rolling", "items with choices"))

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Refuse: items with choices are all that is compared."""
        raise ConfigError(message("lm-eval", "not compared", "generate_until", "items with choices"))


def prompts_of(run: Path, model: TextGenerator, per_target: int) -> list[Prompt]:
    """Return prompts of the held-out documents of the run's study."""
    workspace = workspace_of(run)
    slices = target_slices(workspace, None, run)
    heldouts = cloze_heldouts(workspace, partition(str(workspace), slices), [one.name for one in slices])
    return [
        p for heldout, texts in heldouts for p in heldout_prompts(model, heldout, texts, per_target, 24, NEW_TOKENS)
    ]


def overlap_rows(model: TextGenerator, prompts: Sequence[Prompt]) -> list[Row]:
    """Compare BLEU and ROUGE of samples with direct calls of the libraries."""
    rows = sample_rows(model, prompts, Sampling(NEW_TOKENS, temperature=0.8, top_p=0.95))
    written, there = [row["continuation"] for row in rows], [row["reference"] for row in rows]
    bleu, rouge = 0.0, 0.0
    for units, tokens in (("words", "13a"), ("characters", "char")):
        found = overlap(written, there, units)
        bleu = max(bleu, abs(found.bleu - sacrebleu.corpus_bleu(written, [there], tokenize=tokens).score))
    found = overlap(written, there, "words")
    names = ["rouge1", "rouge2", "rougeL"]
    each = [RougeScorer(names).score(a, b) for a, b in zip(there, written, strict=True)]
    for name in names:
        rouge = max(rouge, abs(getattr(found, name) - float(np.mean([one[name].fmeasure for one in each]))))
    return [
        Row("sacrebleu", "corpus BLEU, 13a and char", len(rows), bleu, 1e-9),
        Row("rouge-score", "ROUGE-1, ROUGE-2, ROUGE-L", len(rows), rouge, 1e-9),
    ]


def classification_row(cases: int = 200) -> Row:
    """Compare accuracy, precision, recall and F1 on drawn classes."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(cases):
        k = int(rng.integers(2, 9))
        gold, predicted = rng.integers(0, k, (2, int(rng.integers(1, 300))))
        found = multiclass(gold, predicted, k)
        each = metrics.precision_recall_fscore_support(gold, predicted, labels=range(k), zero_division=0.0)
        macro = metrics.f1_score(gold, predicted, labels=range(k), average="macro", zero_division=0.0)
        pairs = zip((found.precision, found.recall, found.f1), each[:3], strict=True)
        worst = max(worst, *(float(np.abs(a - b).max()) for a, b in pairs), abs(found.macro_f1 - macro))
        worst = max(worst, abs(found.accuracy - metrics.accuracy_score(gold, predicted)))
    return Row("scikit-learn", "accuracy, precision, recall, F1, macro-F1", cases, worst, 1e-12)


def generation_rows(run: Path, exported: HfLogProb, model: TextGenerator, prompts: Sequence[Prompt]) -> list[Row]:
    """Compare the cache, greedy search and what is drawn from with `transformers`."""
    module, _ = open_run(run, workspace_of(run), "cpu")
    logits, cached, tokens, drawn = 0.0, 0.0, 0, 0.0
    for prompt in prompts:
        ids = np.concatenate([[model.start_id], model.encode(prompt.text)])[: model.context - NEW_TOKENS]
        row = torch.from_numpy(ids)[None]
        past = [Past() for _ in range(module.proxy.layers)]
        with torch.inference_mode():
            theirs, ours = exported.model(input_ids=row).logits[0].double(), module(row)[0].double()
            for at in range(len(ids)):
                mine = module.next_logits(row[:, at : at + 1], past)[0].double()
                cached = max(cached, float((mine - ours[at]).abs().max() / ours[at].abs().max()))
                logits = max(logits, float((mine - theirs[at]).abs().max()))
            whole = exported.model.generate(
                row, attention_mask=torch.ones_like(row), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0
            )[0, len(ids) :].tolist()
        (found,) = generate_ids(model, ids[None], Sampling(NEW_TOKENS), [np.random.default_rng(0)])
        expected = whole[: whole.index(0)] if 0 in whole else whole
        tokens += found.tolist() != expected
        scores = TemperatureLogitsWarper(0.8)(None, theirs[-1:])
        scores = TopPLogitsWarper(0.9)(None, TopKLogitsWarper(50)(None, scores))
        p = truncated(theirs[-1:].numpy(), Sampling(temperature=0.8, top_k=50, top_p=0.9))
        drawn = max(drawn, float(np.abs(p - scores.softmax(-1).numpy()).max()))
    n = len(prompts)
    return [
        Row("transformers", "logits with keys and values kept, token by token", n, logits, 1e-4),
        Row("our Llama without a cache", "the same, by the largest logit", n, cached, 1e-5),
        Row("transformers", f"greedy texts of {NEW_TOKENS} tokens that differ", n, tokens, 0),
        Row("transformers", "probabilities after temperature, top-k, top-p", n, drawn, 1e-12),
    ]


def lm_eval_rows(scorer: TextScorer, exported: HfLogProb, items: Sequence[TextItem]) -> list[Row]:
    """Compare nats of all choices and accuracies with lm-eval over `transformers`."""
    found = []
    for task in dict.fromkeys(item.task for item in items):
        for separator in dict.fromkeys(item.separator for item in items if item.task == task):
            mine = [item for item in items if (item.task, item.separator) == (task, separator)]
            with tempfile.TemporaryDirectory() as folder:
                write_task(mine, Path(folder))
                manager = TaskManager(include_path=folder, include_defaults=False)
                theirs = simple_evaluate(model=PlainLM(exported), tasks=[task], task_manager=manager, bootstrap_iters=0)
            rows = score_text_items(scorer, mine).to_pylist()
            samples = sorted(theirs["samples"][task], key=lambda sample: sample["doc_id"])
            golds = [-sample["resps"][item.gold][0][0] for sample, item in zip(samples, mine, strict=True)]
            nats = max(abs(row["gold_nats"] - gold) for row, gold in zip(rows, golds, strict=True))
            scores = theirs["results"][task]
            ours = {"acc,none": "correct", "acc_bytes,none": "correct_per_byte"}
            wrong = max(abs(scores[name] - np.mean([row[one] for row in rows])) for name, one in ours.items())
            found += [(len(mine), nats, wrong)]
    n = sum(size for size, _, _ in found)
    return [
        Row("lm-eval", "nats of the right choice", n, max(nats for _, nats, _ in found), 1e-4),
        Row("lm-eval", "acc, acc_bytes", n, float(max(wrong for _, _, wrong in found)), 1e-9),
    ]


def compare(run: Path, per_target: int, n_items: int) -> list[Row]:
    """Make all comparisons on a run of a llama that belongs to a study."""
    workspace = workspace_of(run)
    model, scorer = open_generator(run), open_scorer(run)
    with tempfile.TemporaryDirectory() as folder:
        export_run(run, Path(folder))
        exported = load_hf(Path(folder), model.context)
    prompts = prompts_of(run, model, per_target)
    slices = target_slices(workspace, None, run)
    heldouts = cloze_heldouts(workspace, partition(str(workspace), slices), [one.name for one in slices])
    items = [item for task in ("pairs_en", "pairs_zh", "cloze") for item in task_items(task, n_items, heldouts)]
    return [
        *overlap_rows(model, prompts),
        classification_row(),
        *generation_rows(run, exported, model, prompts),
        *lm_eval_rows(scorer, exported, items),
    ]


def table(rows: Sequence[Row]) -> str:
    """Lay rows out as Markdown."""
    lines = ["| peer | what is compared | cases | largest difference | allowed |", "|---|---|--:|--:|--:|"]
    lines += [f"| {r.peer} | {r.what} | {r.cases:,} | {r.difference:.2g} | {r.allowed:g} |" for r in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--per-target", type=int, default=8, help="held-out documents of each target")
    parser.add_argument("--items", type=int, default=4, help="items of each task; of pairs, per phenomenon")
    parser.add_argument("--keep", action="store_true", help=f"put the table into {PAGE}")
    arguments = parser.parse_args()
    rows = compare(arguments.run, arguments.per_target, arguments.items)
    print(table(rows))
    if arguments.keep:
        keep_section("evaluation", table(rows).splitlines(), PAGE)
    return int(any(row.difference > row.allowed for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
