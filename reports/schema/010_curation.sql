-- Tables that the snapshot derives from manifests, shards and the recipe. The others are made from the
-- Arrow schemas of the contracts (reports/ddl.py).

CREATE TABLE workspace_info (name VARCHAR NOT NULL, value VARCHAR NOT NULL);
COMMENT ON TABLE workspace_info IS 'What this snapshot was made from: recipe, software, limits.';
COMMENT ON COLUMN workspace_info.name IS 'name of the fact';
COMMENT ON COLUMN workspace_info.value IS 'its value, as text';

CREATE TABLE sources (position INTEGER NOT NULL, source VARCHAR NOT NULL, format VARCHAR NOT NULL, license VARCHAR NOT NULL);
COMMENT ON TABLE sources IS 'The sources of the recipe, in its order.';
COMMENT ON COLUMN sources.position IS 'place in the recipe, from 0';
COMMENT ON COLUMN sources.source IS 'name of the source';
COMMENT ON COLUMN sources.format IS 'how its files are cut into records: warc, mediawiki, jsonl, csv, tsv, parquet, arrow or text';
COMMENT ON COLUMN sources.license IS 'licence as the recipe states it';

CREATE TABLE stage_counts (stage_order INTEGER NOT NULL, stage VARCHAR NOT NULL, name VARCHAR NOT NULL, count BIGINT NOT NULL);
COMMENT ON TABLE stage_counts IS 'What every stage of curation counted, summed over its tasks.';
COMMENT ON COLUMN stage_counts.stage_order IS 'place of the stage in the pipeline';
COMMENT ON COLUMN stage_counts.stage IS 'name of the stage';
COMMENT ON COLUMN stage_counts.name IS 'what was counted; nested names are joined by /';
COMMENT ON COLUMN stage_counts.count IS 'the number, in the unit that the name ends in (documents, bytes, tokens) [count]';

CREATE TABLE recipe_rules (
    rule_order INTEGER NOT NULL, rule VARCHAR NOT NULL, signal VARCHAR NOT NULL, min DOUBLE, max DOUBLE, above DOUBLE,
    below DOUBLE, equals_any VARCHAR[], languages VARCHAR[], sources VARCHAR[], not_sources VARCHAR[], bound VARCHAR NOT NULL,
    min_by_language MAP(VARCHAR, DOUBLE) NOT NULL, max_by_language MAP(VARCHAR, DOUBLE) NOT NULL
);
COMMENT ON TABLE recipe_rules IS 'Every rule that the recipe applies (profiles written out), in the order of reasons.';
COMMENT ON COLUMN recipe_rules.rule_order IS 'place in the order of reasons, from 0';
COMMENT ON COLUMN recipe_rules.rule IS 'name of the rule; a reason in decisions';
COMMENT ON COLUMN recipe_rules.signal IS 'column of signals that it bounds';
COMMENT ON COLUMN recipe_rules.min IS 'least value that passes [unit of the signal]';
COMMENT ON COLUMN recipe_rules.max IS 'greatest value that passes [unit of the signal]';
COMMENT ON COLUMN recipe_rules.above IS 'a value must be greater than this [unit of the signal]';
COMMENT ON COLUMN recipe_rules.below IS 'a value must be less than this [unit of the signal]';
COMMENT ON COLUMN recipe_rules.equals_any IS 'text values that pass';
COMMENT ON COLUMN recipe_rules.languages IS 'applies to documents of these languages only; null: all';
COMMENT ON COLUMN recipe_rules.sources IS 'applies to these sources only; null: all';
COMMENT ON COLUMN recipe_rules.not_sources IS 'does not apply to these sources';
COMMENT ON COLUMN recipe_rules.bound IS 'the bound in words, as "signal >= 50"';
COMMENT ON COLUMN recipe_rules.min_by_language IS 'least value for documents of a language, in place of min [unit of the signal]';
COMMENT ON COLUMN recipe_rules.max_by_language IS 'greatest value for documents of a language, in place of max [unit of the signal]';

CREATE TABLE token_spans (
    doc_id VARCHAR NOT NULL, part INTEGER NOT NULL, "row" INTEGER NOT NULL, verdict VARCHAR NOT NULL, source VARCHAR NOT NULL,
    split VARCHAR NOT NULL, shard VARCHAR NOT NULL, shard_row INTEGER NOT NULL, n_tokens BIGINT NOT NULL, n_bytes BIGINT NOT NULL
);
COMMENT ON TABLE token_spans IS 'Where the tokens of every document lie, and how many they are.';
COMMENT ON COLUMN token_spans.doc_id IS '128-bit xxh3 of (source, relative path, position), 32 hex digits';
COMMENT ON COLUMN token_spans.part IS 'number of the part of the plan in which the document lies';
COMMENT ON COLUMN token_spans."row" IS 'row of the document in its part';
COMMENT ON COLUMN token_spans.verdict IS 'kept or rejected';
COMMENT ON COLUMN token_spans.source IS 'name of the source';
COMMENT ON COLUMN token_spans.split IS 'train or heldout';
COMMENT ON COLUMN token_spans.shard IS 'Arrow file, relative to the workspace';
COMMENT ON COLUMN token_spans.shard_row IS 'row of the document in the shard';
COMMENT ON COLUMN token_spans.n_tokens IS 'tokens of the document, the end-of-text token included [tokens]';
COMMENT ON COLUMN token_spans.n_bytes IS 'length of its text in UTF-8 [bytes]';
