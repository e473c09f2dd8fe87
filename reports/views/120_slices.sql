-- What the predicates of slices are asked of.

CREATE VIEW slice_candidates AS
SELECT c.*, c.duplicate_kind AS kind, c.n_tokens AS tokens, c.text_bytes AS bytes, s.* EXCLUDE (part, "row", lang, lang_score)
FROM curated c LEFT JOIN signals s ON s.part = c.part AND s."row" = c."row";
COMMENT ON VIEW slice_candidates IS 'All documents with everything that the predicate of a slice may speak of: place, language, signals, decision.';
COMMENT ON COLUMN slice_candidates.kind IS 'exact or near if it was removed for that (as duplicate_kind)';
COMMENT ON COLUMN slice_candidates.tokens IS 'tokens of the document (as n_tokens) [tokens]';
COMMENT ON COLUMN slice_candidates.bytes IS 'length of the cleaned text in UTF-8 (as text_bytes) [bytes]';
