"""The stages of curation, in their order."""

from __future__ import annotations

from pipelines.contracts.tasks import Stage
from pipelines.stages import (
    card,
    components,
    decide,
    index,
    ingest,
    match,
    measure,
    resolve,
    tokenize,
    tokenizer,
    verify,
)

STAGES: dict[str, Stage] = {
    module.STAGE.name: module.STAGE
    for module in (ingest, index, measure, match, components, resolve, decide, tokenizer, tokenize, card, verify)
}
