-- One document: everything that is known about it.

CREATE VIEW signal_values AS
SELECT part, "row", signal, value FROM (
    UNPIVOT (SELECT part, "row", CAST(COLUMNS(* EXCLUDE (part, "row")) AS VARCHAR) FROM signals)
    ON COLUMNS(* EXCLUDE (part, "row")) INTO NAME signal VALUE value
);
COMMENT ON VIEW signal_values IS 'Every signal of every document, one per row.';
COMMENT ON COLUMN signal_values.part IS 'number of the part of the plan';
COMMENT ON COLUMN signal_values."row" IS 'row in its part';
COMMENT ON COLUMN signal_values.signal IS 'name of the signal, a column of signals';
COMMENT ON COLUMN signal_values.value IS 'its value, as text';

CREATE VIEW document_life AS
SELECT c.*, d.edits, l.url AS leader_url, l.source AS leader_source,
    CASE WHEN c.kept THEN 'kept; its tokens are row ' || c.shard_row || ' of ' || c.shard
         WHEN c.duplicate_kind IS NOT NULL THEN
             'dropped: ' || c.duplicate_kind || ' duplicate of ' || c.leader || ' (similarity ' || round(c.similarity, 3) || ')'
         WHEN c.kept IS NULL THEN 'not decided yet'
         ELSE 'dropped: ' || array_to_string(c.failed_rules, ', ') END AS story
FROM curated c JOIN documents d USING (doc_id) LEFT JOIN documents l ON l.doc_id = c.leader AND c.leader_build IS NULL;
COMMENT ON VIEW document_life IS 'The life of one document, in one row: filter by doc_id or url.';
COMMENT ON COLUMN document_life.doc_id IS 'id of the document, 32 hex digits';
COMMENT ON COLUMN document_life.part IS 'number of the part of the plan';
COMMENT ON COLUMN document_life."row" IS 'row in its part';
COMMENT ON COLUMN document_life.source IS 'name of the source';
COMMENT ON COLUMN document_life.path IS 'file, relative to the source root';
COMMENT ON COLUMN document_life."offset" IS 'decompressed offset of the record in the file [bytes]';
COMMENT ON COLUMN document_life.url IS 'address, if the source names one';
COMMENT ON COLUMN document_life.date IS 'date of the record as the source gives it';
COMMENT ON COLUMN document_life.native_id IS 'id in the source; may repeat';
COMMENT ON COLUMN document_life.title IS 'title of an HTML page';
COMMENT ON COLUMN document_life.published IS 'date of publication that an HTML page names (ISO 8601)';
COMMENT ON COLUMN document_life.canonical_url IS 'address that an HTML page calls its own';
COMMENT ON COLUMN document_life.lang_hint IS 'language that an HTML page declares, two or three letters';
COMMENT ON COLUMN document_life.raw_bytes IS 'decompressed length of the record [bytes]';
COMMENT ON COLUMN document_life.text_bytes IS 'length of the cleaned text in UTF-8 [bytes]';
COMMENT ON COLUMN document_life.content_hash IS '128-bit xxh3 of the cleaned text';
COMMENT ON COLUMN document_life.lang IS 'most likely language (lid.176 label)';
COMMENT ON COLUMN document_life.lang_score IS 'probability of that language';
COMMENT ON COLUMN document_life.kept IS 'true if no rule failed and it repeats no kept document';
COMMENT ON COLUMN document_life.first_reason IS 'first reason for dropping it; null if kept';
COMMENT ON COLUMN document_life.failed_rules IS 'every reason for dropping it';
COMMENT ON COLUMN document_life.split IS 'train or heldout; independent of every rule';
COMMENT ON COLUMN document_life.component_id IS 'component of linked documents; null if it is alone';
COMMENT ON COLUMN document_life.component_size IS 'linked documents in that component [documents]';
COMMENT ON COLUMN document_life.duplicate_kind IS 'exact or near if it was removed for that';
COMMENT ON COLUMN document_life.leader IS 'doc_id of the kept document that it repeats';
COMMENT ON COLUMN document_life.leader_build IS 'earlier build in which the leader lies; null: this';
COMMENT ON COLUMN document_life.similarity IS 'exact Jaccard similarity of the word shingles with the leader';
COMMENT ON COLUMN document_life.shard IS 'Arrow file with its tokens, relative to the workspace';
COMMENT ON COLUMN document_life.shard_row IS 'row in the shard';
COMMENT ON COLUMN document_life.n_tokens IS 'tokens, end-of-text included [tokens]';
COMMENT ON COLUMN document_life.edits IS 'what cleaning changed, and how often';
COMMENT ON COLUMN document_life.leader_url IS 'address of the leader';
COMMENT ON COLUMN document_life.leader_source IS 'source of the leader';
COMMENT ON COLUMN document_life.story IS 'why it is here or not, in words';

CREATE MACRO document_rules(id) AS TABLE
SELECT r.rule, r.bound, v.value, list_contains(c.failed_rules, r.rule) AS failed,
    coalesce(list_contains(r.languages, c.lang), true) AND coalesce(list_contains(r.sources, c.source), true)
        AND NOT list_contains(r.not_sources, c.source) AS applies
FROM curated c
JOIN signal_values v ON v.part = c.part AND v."row" = c."row"
JOIN recipe_rules r ON r.signal = v.signal
WHERE c.doc_id = id ORDER BY r.rule_order;
COMMENT ON MACRO TABLE document_rules IS 'document_rules(doc_id): every rule of the recipe with the value of this document, and whether it failed.';
