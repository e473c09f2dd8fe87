"""Measurement: slices, mixtures, designs, proxies, effects. torch lives here; Beam does not.

    slices -> mixtures -> designs -> runs (train, evaluate) -> scores -> effects (measure, judge)

DuckDB is only used to read slices. `records` holds the tables that the reports read.
"""
