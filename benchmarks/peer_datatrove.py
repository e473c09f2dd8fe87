"""datatrove 0.10.1's own blocks over the same JSONL file; runs in the peer's environment, not in ours.

Every document goes through every block (nothing is skipped after a failed filter). Prints one JSON line.
"""

import json
import os
import resource
import shutil
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import loguru

loguru.logger.remove()
from datatrove.pipeline.dedup.minhash import (  # noqa: E402
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import (  # noqa: E402
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import JsonlReader  # noqa: E402
from datatrove.pipeline.tokens import DocumentTokenizer  # noqa: E402
from datatrove.utils.word_tokenizers import load_word_tokenizer  # noqa: E402
from fasttext.FastText import _FastText  # noqa: E402


def cpu_s() -> float:
    """Return processor time of this process and its children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def main(folder: str, name: str, tokenizer: str, model: str, scratch: str) -> dict:
    """Run all blocks; returns CPU seconds per block."""
    shutil.rmtree(scratch, ignore_errors=True)
    spent = {}
    language = LanguageFilter(label_only=True)
    language.model._model = _FastText(model)
    filters = {"LanguageFilter": language, "GopherRepetition": GopherRepetitionFilter(), "GopherQuality": GopherQualityFilter(),
               "FineWebQuality": FineWebQualityFilter()}  # fmt: skip
    load_word_tokenizer("eng").word_tokenize("warm up.")
    start = cpu_s()
    documents = list(JsonlReader(folder, glob_pattern=name).run())
    spent["JsonlReader"] = cpu_s() - start
    for label, block in filters.items():
        start = cpu_s()
        for document in documents:
            block.filter(document)
        spent[label] = cpu_s() - start
    config = MinhashConfig()
    start = cpu_s()
    MinhashDedupSignature(f"{scratch}/sig", config).run(documents, 0, 1)
    buckets = MinhashDedupBuckets(f"{scratch}/sig", f"{scratch}/buckets", config=config)
    for rank in range(config.num_buckets):
        buckets.run(None, rank, config.num_buckets)
    MinhashDedupCluster(f"{scratch}/buckets", f"{scratch}/remove", config=config).run(None, 0, 1)
    sum(1 for _ in MinhashDedupFilter(f"{scratch}/remove").run(iter(documents), 0, 1))
    spent["MinHash (4 steps)"] = cpu_s() - start
    start = cpu_s()
    block = DocumentTokenizer(
        f"{scratch}/tokens",
        tokenizer,
        local_working_dir=f"{scratch}/work",
        shuffle_documents=False,
        eos_token="<|endoftext|>",
    )
    block.run(documents, 0, 1)
    spent["DocumentTokenizer"] = cpu_s() - start
    return spent


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:6])))
