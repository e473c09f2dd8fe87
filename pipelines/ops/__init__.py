"""Per-document operations: pure functions on records, texts and Arrow columns."""
