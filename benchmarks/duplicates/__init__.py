"""Quality of deduplication against exact brute force: natural and planted duplicates, guarantees, templates."""
