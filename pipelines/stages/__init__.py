"""The stages of curation, in their order."""

from __future__ import annotations

from pipelines.contracts.tasks import Stage
from pipelines.stages import (
    card,
    components,
    contamination,
    decide,
    index,
    ingest,
    item_counts,
    item_hits,
    items,
    line_counts,
    lines,
    match,
    measure,
    resolve,
    tokenize,
    tokenizer,
    verify,
)

STAGES: dict[str, Stage] = {
    module.STAGE.name: module.STAGE
    for module in (
        ingest,
        line_counts,
        lines,
        index,
        items,
        item_hits,
        item_counts,
        contamination,
        measure,
        match,
        components,
        resolve,
        decide,
        tokenizer,
        tokenize,
        card,
        verify,
    )
}
