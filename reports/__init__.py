"""Snapshots (DuckDB) and the report (one HTML file) of a workspace; everything here can be rebuilt from its files."""
