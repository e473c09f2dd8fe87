"""Curation: raw corpora to training-ready token shards, as Apache Beam jobs over files.

    plan -> ingest -> measure -> match -> components -> resolve -> decide -> tokenizer -> tokenize -> verify

Each stage is one small file in `stages/`: plain functions that read named files and write named files.
`beam/` runs them (a local process pool, or any Beam engine). No torch and no DuckDB in this package.
"""
