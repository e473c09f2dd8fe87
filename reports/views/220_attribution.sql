-- Attribution: predictions of gradients beside retraining, documents with their place, tokens with the slice that raised them.

CREATE VIEW attributed_documents AS
SELECT a.design_id, a.method, a.target, a.place, a.unit AS doc_id, a.slice, a.nats_per_token, a.tokens, d.source,
    coalesce(d.url, d.path) AS origin, d.title, d.lang, d.kept, d.first_reason, d.text_bytes, d.shard, d.shard_row
FROM attributions a LEFT JOIN curated d ON d.doc_id = a.unit
WHERE a.unit_kind = 'document'
ORDER BY a.design_id, a.method, a.target, a.place < 0, abs(a.place);
COMMENT ON VIEW attributed_documents IS 'Documents that helped or harmed a target most, by gradients, with where they came from.';
COMMENT ON COLUMN attributed_documents.design_id IS 'hash of the whole design';
COMMENT ON COLUMN attributed_documents.method IS 'ekfac or tracin';
COMMENT ON COLUMN attributed_documents.target IS 'held-out slice';
COMMENT ON COLUMN attributed_documents.place IS '1, 2, ...: most helpful; -1, -2, ...: most harmful';
COMMENT ON COLUMN attributed_documents.doc_id IS 'id of the document, 32 hex digits';
COMMENT ON COLUMN attributed_documents.slice IS 'slice of the document';
COMMENT ON COLUMN attributed_documents.nats_per_token IS 'rise of the loss of the target if what was drawn of it is removed; positive: it helps [nats per token]';
COMMENT ON COLUMN attributed_documents.tokens IS 'tokens that were drawn of it in the scored rows [tokens]';
COMMENT ON COLUMN attributed_documents.source IS 'name of the source';
COMMENT ON COLUMN attributed_documents.origin IS 'its URL, or the file that it came from';
COMMENT ON COLUMN attributed_documents.title IS 'title, where the source has one';
COMMENT ON COLUMN attributed_documents.lang IS 'language';
COMMENT ON COLUMN attributed_documents.kept IS 'whether curation kept it';
COMMENT ON COLUMN attributed_documents.first_reason IS 'why it was dropped';
COMMENT ON COLUMN attributed_documents.text_bytes IS 'length of its text [bytes]';
COMMENT ON COLUMN attributed_documents.shard IS 'shard that holds its tokens';
COMMENT ON COLUMN attributed_documents.shard_row IS 'row in the shard';

CREATE VIEW predicted_effects AS
SELECT p.design_id, p.contrast, p.family, p.slice, p.target, p.population, p.fill, p.method, p.estimate AS predicted, p.se AS predicted_se,
    m.method AS measured_by, m.estimate AS measured, m.lo AS measured_lo, m.hi AS measured_hi, m.q AS measured_q, m.verdict, p.reason
FROM effects p JOIN effects m ON m.design_id = p.design_id AND m.contrast = p.contrast AND m.metric = p.metric
WHERE p.method IN ('ekfac', 'tracin') AND m.method IN ('retrain', 'ngram') AND m.estimate IS NOT NULL
ORDER BY p.design_id, p.method, m.method DESC, p.rowid;
COMMENT ON VIEW predicted_effects IS 'What gradients predict for a contrast beside what retraining, or the exact n-gram, measured.';
COMMENT ON COLUMN predicted_effects.design_id IS 'hash of the whole design';
COMMENT ON COLUMN predicted_effects.contrast IS 'name of the contrast';
COMMENT ON COLUMN predicted_effects.family IS 'family of the contrast';
COMMENT ON COLUMN predicted_effects.slice IS 'slice or decision that it speaks of';
COMMENT ON COLUMN predicted_effects.target IS 'held-out slice';
COMMENT ON COLUMN predicted_effects.population IS 'held-out documents: kept or unfiltered';
COMMENT ON COLUMN predicted_effects.fill IS 'what takes the place of what was removed';
COMMENT ON COLUMN predicted_effects.method IS 'ekfac or tracin';
COMMENT ON COLUMN predicted_effects.predicted IS 'prediction [bits per byte]';
COMMENT ON COLUMN predicted_effects.predicted_se IS 'its standard error over blocks; not the error of the method [bits per byte]';
COMMENT ON COLUMN predicted_effects.measured_by IS 'retrain, or ngram: the exact effect on another model';
COMMENT ON COLUMN predicted_effects.measured IS 'measured effect [bits per byte]';
COMMENT ON COLUMN predicted_effects.measured_lo IS 'lower end of its 95 % interval [bits per byte]';
COMMENT ON COLUMN predicted_effects.measured_hi IS 'upper end of its 95 % interval [bits per byte]';
COMMENT ON COLUMN predicted_effects.measured_q IS 'its corrected p';
COMMENT ON COLUMN predicted_effects.verdict IS 'verdict of the measurement';
COMMENT ON COLUMN predicted_effects.reason IS 'how far the method agrees with retraining in this study';

CREATE VIEW traced_tokens AS
SELECT t.design_id, t.doc_id, t.target, t.position, any_value(t.token) AS token,
    max(t.delta_nats) AS delta_nats, arg_max(t.slice, t.delta_nats) AS best_slice, arg_max(t.se, t.delta_nats) AS se, max(t.n_blocks) AS n_blocks,
    CASE WHEN max(t.delta_nats) > greatest(0.1, 3 * coalesce(arg_max(t.se, t.delta_nats), 0)) THEN arg_max(t.slice, t.delta_nats) END AS raised_by
FROM token_traces t GROUP BY t.design_id, t.doc_id, t.target, t.position
ORDER BY t.design_id, t.target, t.doc_id, t.position;
COMMENT ON VIEW traced_tokens IS 'Every token of the traced texts with the slice that raised its probability most.';
COMMENT ON COLUMN traced_tokens.design_id IS 'hash of the whole design';
COMMENT ON COLUMN traced_tokens.doc_id IS 'held-out document, or name of the text that was given';
COMMENT ON COLUMN traced_tokens.target IS 'held-out slice; empty for a text that was given';
COMMENT ON COLUMN traced_tokens.position IS 'token of the text, from 0 [tokens]';
COMMENT ON COLUMN traced_tokens.token IS 'its text';
COMMENT ON COLUMN traced_tokens.delta_nats IS 'greatest rise of its log-probability by any slice [nats]';
COMMENT ON COLUMN traced_tokens.best_slice IS 'that slice';
COMMENT ON COLUMN traced_tokens.se IS 'standard error of the rise over blocks [nats]';
COMMENT ON COLUMN traced_tokens.n_blocks IS 'blocks of full and ablated proxies [blocks]';
COMMENT ON COLUMN traced_tokens.raised_by IS 'that slice, if the rise is above .1 nats and three standard errors; else null';
