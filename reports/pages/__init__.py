"""The sections of the report, in their order; each module has `page(con) -> Page`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reports.blocks import Page
from reports.pages import (
    attribution,
    controls,
    curation,
    decisions,
    downstream,
    duplicates,
    ladder,
    languages,
    laws,
    method,
    mixtures,
    overview,
    perplexity,
    runs,
)

if TYPE_CHECKING:
    import duckdb

PAGES: tuple[Callable[[duckdb.DuckDBPyConnection], Page], ...] = (
    overview.page,
    curation.page,
    languages.page,
    duplicates.page,
    mixtures.page,
    laws.page,
    attribution.page,
    perplexity.page,
    downstream.page,
    controls.page,
    decisions.page,
    ladder.page,
    runs.page,
    method.page,
)
