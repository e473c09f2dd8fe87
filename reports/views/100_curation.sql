-- Views over curation. Every view answers one question; sums over a view's rows are exact counts.

CREATE VIEW curated AS
SELECT d.doc_id, d.part, d."row", d.source, d.path, d."offset", d.url, d.date, d.native_id,
    d.title, d.published, d.canonical_url, d.lang_hint, d.raw_bytes, d.text_bytes, d.content_hash, s.lang, s.lang_score, c.kept, c.first_reason, c.failed_rules, c.split,
    u.component_id, u.component_size, u.kind AS duplicate_kind, u.leader, u.leader_build, u.similarity, t.shard, t.shard_row, t.n_tokens
FROM documents d
LEFT JOIN signals s ON s.part = d.part AND s."row" = d."row"
LEFT JOIN decisions c ON c.part = d.part AND c."row" = d."row"
LEFT JOIN duplicates u ON u.part = d.part AND u."row" = d."row"
LEFT JOIN token_spans t ON t.part = d.part AND t."row" = d."row";
COMMENT ON VIEW curated IS 'One row per document: where it came from, its language, the decision on it, whom it repeats, where its tokens lie.';
COMMENT ON COLUMN curated.doc_id IS 'id of the document, 32 hex digits';
COMMENT ON COLUMN curated.part IS 'number of the part of the plan';
COMMENT ON COLUMN curated."row" IS 'row in its part';
COMMENT ON COLUMN curated.source IS 'name of the source';
COMMENT ON COLUMN curated.path IS 'file, relative to the source root';
COMMENT ON COLUMN curated."offset" IS 'decompressed offset of the record in the file [bytes]';
COMMENT ON COLUMN curated.url IS 'address, if the source names one';
COMMENT ON COLUMN curated.date IS 'date of the record as the source gives it';
COMMENT ON COLUMN curated.native_id IS 'id in the source; may repeat';
COMMENT ON COLUMN curated.title IS 'title of an HTML page';
COMMENT ON COLUMN curated.published IS 'date of publication that an HTML page names (ISO 8601)';
COMMENT ON COLUMN curated.canonical_url IS 'address that an HTML page calls its own';
COMMENT ON COLUMN curated.lang_hint IS 'language that an HTML page declares, two or three letters';
COMMENT ON COLUMN curated.raw_bytes IS 'decompressed length of the record [bytes]';
COMMENT ON COLUMN curated.text_bytes IS 'length of the cleaned text in UTF-8 [bytes]';
COMMENT ON COLUMN curated.content_hash IS '128-bit xxh3 of the cleaned text';
COMMENT ON COLUMN curated.lang IS 'most likely language (lid.176 label)';
COMMENT ON COLUMN curated.lang_score IS 'probability of that language';
COMMENT ON COLUMN curated.kept IS 'true if no rule failed and it repeats no kept document';
COMMENT ON COLUMN curated.first_reason IS 'first reason for dropping it; null if kept';
COMMENT ON COLUMN curated.failed_rules IS 'every reason for dropping it';
COMMENT ON COLUMN curated.split IS 'train or heldout; independent of every rule';
COMMENT ON COLUMN curated.component_id IS 'component of linked documents; null if it is alone';
COMMENT ON COLUMN curated.component_size IS 'linked documents in that component [documents]';
COMMENT ON COLUMN curated.duplicate_kind IS 'exact or near if it was removed for that';
COMMENT ON COLUMN curated.leader IS 'doc_id of the kept document that it repeats';
COMMENT ON COLUMN curated.leader_build IS 'earlier build in which the leader lies; null: this';
COMMENT ON COLUMN curated.similarity IS 'exact Jaccard similarity of the word shingles with the leader';
COMMENT ON COLUMN curated.shard IS 'Arrow file with its tokens, relative to the workspace';
COMMENT ON COLUMN curated.shard_row IS 'row in the shard';
COMMENT ON COLUMN curated.n_tokens IS 'tokens, end-of-text included [tokens]';

CREATE VIEW funnel AS
WITH outcomes AS (
    SELECT source, text_bytes, coalesce(first_reason, CASE WHEN kept THEN 'kept' ELSE 'undecided' END) AS outcome FROM curated
), sums AS (
    SELECT source, outcome, count(*) AS documents, sum(text_bytes)::BIGINT AS text_bytes FROM outcomes GROUP BY source, outcome
)
SELECT source, outcome, documents, text_bytes, documents / sum(documents) OVER one AS document_frac,
    coalesce(text_bytes / nullif(sum(text_bytes) OVER one, 0), 0) AS byte_frac
FROM sums WINDOW one AS (PARTITION BY source) ORDER BY source, outcome;
COMMENT ON VIEW funnel IS 'What became of the documents of every source: kept, or dropped for which first reason.';
COMMENT ON COLUMN funnel.source IS 'name of the source';
COMMENT ON COLUMN funnel.outcome IS 'kept, the first reason for dropping, or undecided if decide has not run';
COMMENT ON COLUMN funnel.documents IS 'documents [documents]';
COMMENT ON COLUMN funnel.text_bytes IS 'their cleaned text [bytes]';
COMMENT ON COLUMN funnel.document_frac IS 'share of the documents of the source';
COMMENT ON COLUMN funnel.byte_frac IS 'share of the text bytes of the source';

CREATE VIEW accounts AS
SELECT CASE WHEN name LIKE 'nondocuments/%' THEN 'not a document: ' || name[14:]
            WHEN name LIKE 'dead_letters/%' THEN 'dead letter: ' || name[14:]
            WHEN name = 'documents' THEN 'document' END AS outcome,
    count AS records
FROM stage_counts
WHERE stage = 'ingest' AND (name = 'documents' OR name LIKE 'nondocuments/%' OR name LIKE 'dead_letters/%')
ORDER BY name = 'documents' DESC, name LIKE 'nondocuments/%' DESC, name;
COMMENT ON VIEW accounts IS 'What became of every record that was read; the records add up to the records read.';
COMMENT ON COLUMN accounts.outcome IS 'document, not a document (of which kind), or dead letter (of which error)';
COMMENT ON COLUMN accounts.records IS 'records [records]';

CREATE VIEW languages AS
SELECT lang, source, count(*) AS documents, count(*) FILTER (kept) AS kept_documents, sum(text_bytes)::BIGINT AS text_bytes,
    coalesce(sum(text_bytes) FILTER (kept), 0)::BIGINT AS kept_bytes, avg(lang_score) AS mean_score
FROM curated GROUP BY lang, source ORDER BY lang, source;
COMMENT ON VIEW languages IS 'Documents by language and source, before and after the decisions.';
COMMENT ON COLUMN languages.lang IS 'most likely language (lid.176 label), und if nothing is known';
COMMENT ON COLUMN languages.source IS 'name of the source';
COMMENT ON COLUMN languages.documents IS 'documents [documents]';
COMMENT ON COLUMN languages.kept_documents IS 'of them kept [documents]';
COMMENT ON COLUMN languages.text_bytes IS 'their cleaned text [bytes]';
COMMENT ON COLUMN languages.kept_bytes IS 'of it kept [bytes]';
COMMENT ON COLUMN languages.mean_score IS 'mean probability of the language over the documents';

CREATE VIEW duplicate_clusters AS
SELECT component_id, count(*) AS documents, any_value(component_size) AS component_size, count(*) FILTER (kept) AS kept_documents,
    count(*) FILTER (duplicate_kind = 'url') AS url_removed, count(*) FILTER (duplicate_kind = 'exact') AS exact_removed, count(*) FILTER (duplicate_kind = 'near') AS near_removed,
    min(similarity) AS least_similarity, sum(text_bytes)::BIGINT AS text_bytes,
    coalesce(sum(text_bytes) FILTER (duplicate_kind IS NOT NULL), 0)::BIGINT AS removed_bytes,
    list_sort(list(DISTINCT source)) AS sources,
    arg_min(coalesce(url, path), (CASE WHEN kept THEN 0 ELSE 1 END, doc_id)) AS example, min(leader) AS leader
FROM curated WHERE component_id IS NOT NULL
GROUP BY component_id ORDER BY documents DESC, component_id;
COMMENT ON VIEW duplicate_clusters IS 'Components of documents that are linked as possible duplicates; removed ones have a kept leader.';
COMMENT ON COLUMN duplicate_clusters.component_id IS 'least content_hash of the linked documents';
COMMENT ON COLUMN duplicate_clusters.documents IS 'linked documents, counted here [documents]';
COMMENT ON COLUMN duplicate_clusters.component_size IS 'linked documents, as the stage resolve stated it [documents]';
COMMENT ON COLUMN duplicate_clusters.kept_documents IS 'of them kept [documents]';
COMMENT ON COLUMN duplicate_clusters.url_removed IS 'removed because there is a newer version of the same address [documents]';
COMMENT ON COLUMN duplicate_clusters.exact_removed IS 'removed because the cleaned text is the same [documents]';
COMMENT ON COLUMN duplicate_clusters.near_removed IS 'removed because the word shingles are nearly the same [documents]';
COMMENT ON COLUMN duplicate_clusters.least_similarity IS 'least exact Jaccard similarity of a removed document with its leader';
COMMENT ON COLUMN duplicate_clusters.text_bytes IS 'text of all its documents [bytes]';
COMMENT ON COLUMN duplicate_clusters.removed_bytes IS 'text of those removed as duplicates [bytes]';
COMMENT ON COLUMN duplicate_clusters.sources IS 'sources that it spans';
COMMENT ON COLUMN duplicate_clusters.example IS 'address or file of one of its documents, a kept one if there is one';
COMMENT ON COLUMN duplicate_clusters.leader IS 'doc_id of a kept leader; null if nothing was removed';

CREATE VIEW rule_effects AS
WITH failures AS (
    SELECT unnest(failed_rules) AS rule, len(failed_rules) AS failing, text_bytes, first_reason FROM curated WHERE NOT kept
)
SELECT f.rule, any_value(r.bound) AS bound, count(*) AS documents, sum(text_bytes)::BIGINT AS text_bytes,
    count(*) FILTER (first_reason = f.rule) AS first_documents,
    count(*) FILTER (failing = 1) AS only_documents, coalesce(sum(text_bytes) FILTER (failing = 1), 0)::BIGINT AS only_bytes
FROM failures f LEFT JOIN recipe_rules r ON r.rule = f.rule
GROUP BY f.rule ORDER BY only_documents DESC, f.rule;
COMMENT ON VIEW rule_effects IS 'What every rule drops, and what it alone drops (what would come back if it were switched off).';
COMMENT ON COLUMN rule_effects.rule IS 'name of the rule, or url_duplicate, exact_duplicate, near_duplicate';
COMMENT ON COLUMN rule_effects.bound IS 'its bound in words; null for duplicates';
COMMENT ON COLUMN rule_effects.documents IS 'documents that fail it [documents]';
COMMENT ON COLUMN rule_effects.text_bytes IS 'their cleaned text [bytes]';
COMMENT ON COLUMN rule_effects.first_documents IS 'documents for which it is the first reason [documents]';
COMMENT ON COLUMN rule_effects.only_documents IS 'documents that fail nothing else [documents]';
COMMENT ON COLUMN rule_effects.only_bytes IS 'their cleaned text [bytes]';

CREATE VIEW dead_letter_summary AS
SELECT source, stage, error, count(*) AS records, sum(length)::BIGINT AS lost_bytes,
    arg_min(path || ' @ ' || "offset", (path, "offset")) AS example, arg_min(message, (path, "offset")) AS message
FROM dead_letters GROUP BY source, stage, error ORDER BY records DESC, source, stage, error;
COMMENT ON VIEW dead_letter_summary IS 'Records that could not become documents, by source, stage and error.';
COMMENT ON COLUMN dead_letter_summary.source IS 'name of the source';
COMMENT ON COLUMN dead_letter_summary.stage IS 'where it failed: read, extract, clean or measure';
COMMENT ON COLUMN dead_letter_summary.error IS 'short name of the fault';
COMMENT ON COLUMN dead_letter_summary.records IS 'dead letters [records]';
COMMENT ON COLUMN dead_letter_summary.lost_bytes IS 'what was lost [bytes]';
COMMENT ON COLUMN dead_letter_summary.example IS 'file and decompressed offset of the first one';
COMMENT ON COLUMN dead_letter_summary.message IS 'message of the first one';

CREATE VIEW source_totals AS
SELECT o.source, any_value(o.format) AS format, any_value(o.license) AS license, count(c.doc_id) AS documents,
    count(c.doc_id) FILTER (c.kept) AS kept_documents, coalesce(sum(c.text_bytes), 0)::BIGINT AS text_bytes,
    coalesce(sum(c.text_bytes) FILTER (c.kept), 0)::BIGINT AS kept_bytes,
    coalesce(sum(c.n_tokens) FILTER (c.kept), 0)::BIGINT AS kept_tokens,
    coalesce(sum(c.n_tokens) FILTER (c.kept AND c.split = 'heldout'), 0)::BIGINT AS heldout_tokens,
    (SELECT count(*) FROM dead_letters x WHERE x.source = o.source) AS dead_letters
FROM sources o LEFT JOIN curated c ON c.source = o.source
GROUP BY o.position, o.source ORDER BY o.position;
COMMENT ON VIEW source_totals IS 'Every source of the recipe: what was read and what was kept.';
COMMENT ON COLUMN source_totals.source IS 'name of the source';
COMMENT ON COLUMN source_totals.format IS 'format of its files';
COMMENT ON COLUMN source_totals.license IS 'licence as the recipe states it';
COMMENT ON COLUMN source_totals.documents IS 'documents [documents]';
COMMENT ON COLUMN source_totals.kept_documents IS 'of them kept [documents]';
COMMENT ON COLUMN source_totals.text_bytes IS 'cleaned text [bytes]';
COMMENT ON COLUMN source_totals.kept_bytes IS 'of it kept [bytes]';
COMMENT ON COLUMN source_totals.kept_tokens IS 'tokens of the kept documents [tokens]';
COMMENT ON COLUMN source_totals.heldout_tokens IS 'of them held out [tokens]';
COMMENT ON COLUMN source_totals.dead_letters IS 'records that could not become documents [records]';
