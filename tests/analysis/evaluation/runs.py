"""A folder as a finished run leaves it, in a workspace with a tokenizer; the weights are as they were drawn."""

import json

from analysis.evaluation.minimal_pairs import pair_items
from analysis.models.neural import build, export, initialise
from tests.analysis.toy import byte_bpe, small_proxy

VOCAB = 300


def write_tokenizer(workspace):
    """Train the tokenizer of a workspace on English and Chinese pairs."""
    made = byte_bpe([pair.choices[0] for lang in ("en", "zh") for pair in pair_items(lang, 2)], vocab_size=VOCAB)
    assert made.get_vocab_size() == VOCAB
    (workspace / "tokenizer").mkdir()
    made.save(str(workspace / "tokenizer" / "tokenizer.json"))


def write_run(folder, model="llama", vocab=VOCAB, **changes):
    """Write the folder of a run."""
    proxy = small_proxy(**{"model": model, "vocab_size": vocab, "context": 64, **changes})
    module = build(proxy)
    initialise(module, 5)
    export(module, folder)
    record = {"status": "finished", "model": model, "proxy": proxy.model_dump(mode="json")}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def run_folder(workspace, **changes):
    """Write both; returns the folder of the run."""
    write_tokenizer(workspace)
    return write_run(workspace / "analysis" / "study" / "runs" / "full-0", **changes)
