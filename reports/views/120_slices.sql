-- What the predicates of slices are asked of: the same columns as in analysis/slices.py (a test compares them).

CREATE VIEW document_view AS
SELECT d.doc_id, d.part, d."row", d.source, d.path, d.url, d.date, d.text_bytes, s.* EXCLUDE (part, "row"),
    c.kept, c.first_reason, c.failed_rules, c.split, c.split_key AS component,
    u.component_size, u.kind AS duplicate_kind, u.leader, u.similarity,
    d.doc_id IN (SELECT leader FROM duplicates WHERE kind = 'near' AND leader_build IS NULL) AS leads_near_duplicate
FROM documents d JOIN signals s USING (part, "row") JOIN decisions c USING (part, "row")
LEFT JOIN duplicates u USING (part, "row");
COMMENT ON VIEW document_view IS 'All documents with everything that the predicate of a slice may speak of: place, language, signals, decision.';
COMMENT ON COLUMN document_view.component IS 'what the split was drawn by: component_id, or content_hash if it is alone';
COMMENT ON COLUMN document_view.duplicate_kind IS 'exact or near if it was removed for that';
COMMENT ON COLUMN document_view.leads_near_duplicate IS 'true if some near duplicate was removed because it repeats this document';
