-- Views over studies. Bits per byte are ratios of sums: nats / ln 2 / bytes.

CREATE VIEW score_table AS
SELECT run_id, target, population, train_tokens, sum(nats) AS nats, sum(tokens)::BIGINT AS tokens, sum(bytes)::BIGINT AS bytes,
    sum(nats) / ln(2) / sum(bytes) AS bpb, sum(nats) / sum(tokens) AS nats_per_token, exp(sum(nats) / sum(tokens)) AS perplexity,
    train_tokens = max(train_tokens) OVER (PARTITION BY run_id) AS final
FROM scores GROUP BY run_id, target, population, train_tokens ORDER BY run_id, target, population, train_tokens;
COMMENT ON VIEW score_table IS 'Score of every run on every held-out target: lower is better.';
COMMENT ON COLUMN score_table.run_id IS 'run: design, cell and block';
COMMENT ON COLUMN score_table.target IS 'held-out slice that was evaluated';
COMMENT ON COLUMN score_table.population IS 'kept or unfiltered held-out documents';
COMMENT ON COLUMN score_table.train_tokens IS 'training tokens at the time of the evaluation [tokens]';
COMMENT ON COLUMN score_table.nats IS 'summed negative log-probability [nats]';
COMMENT ON COLUMN score_table.tokens IS 'tokens scored [tokens]';
COMMENT ON COLUMN score_table.bytes IS 'text scored [bytes]';
COMMENT ON COLUMN score_table.bpb IS 'bits per byte, comparable across tokenizers [bits per byte]';
COMMENT ON COLUMN score_table.nats_per_token IS 'mean negative log-probability [nats per token]';
COMMENT ON COLUMN score_table.perplexity IS 'exp of nats per token; depends on the tokenizer';
COMMENT ON COLUMN score_table.final IS 'true for the evaluation at the end of the run';

CREATE VIEW run_table AS
WITH orders AS (SELECT design_id, cell, min(rowid) AS cell_order FROM cells GROUP BY design_id, cell),
last_scores AS (
    SELECT run_id, avg(bpb) FILTER (population = 'kept') AS kept_bpb, avg(bpb) FILTER (population = 'unfiltered') AS unfiltered_bpb
    FROM score_table WHERE final GROUP BY run_id
)
SELECT r.*, coalesce(o.cell_order, -1) AS cell_order, s.kept_bpb, s.unfiltered_bpb
FROM runs r LEFT JOIN orders o USING (design_id, cell) LEFT JOIN last_scores s USING (run_id)
ORDER BY r.design_id, cell_order, r.block, r.run_id;
COMMENT ON VIEW run_table IS 'Every run with its final scores, averaged over the held-out targets.';
COMMENT ON COLUMN run_table.run_id IS 'run: design, cell and block';
COMMENT ON COLUMN run_table.design_id IS 'hash of the whole design';
COMMENT ON COLUMN run_table.cell IS 'cell';
COMMENT ON COLUMN run_table.block IS 'block of seeds, the same for every cell';
COMMENT ON COLUMN run_table.seed IS 'seed of the weights';
COMMENT ON COLUMN run_table.model IS 'llama or ngram';
COMMENT ON COLUMN run_table.proxy_id IS 'hash of the fields of the proxy';
COMMENT ON COLUMN run_table.status IS 'finished or diverged';
COMMENT ON COLUMN run_table.tokens IS 'tokens trained on [tokens]';
COMMENT ON COLUMN run_table.train_cpu_s IS 'processor time of training [s]';
COMMENT ON COLUMN run_table.tokens_per_cpu_s IS 'speed [tokens per s]';
COMMENT ON COLUMN run_table.device IS 'cpu or cuda';
COMMENT ON COLUMN run_table.dtype IS 'number type';
COMMENT ON COLUMN run_table.compiled IS 'whether torch.compile was used';
COMMENT ON COLUMN run_table.torch IS 'version of torch';
COMMENT ON COLUMN run_table.train_nats_per_token IS 'training loss over the last twentieth [nats per token]';
COMMENT ON COLUMN run_table.cell_order IS 'place of the cell in the design';
COMMENT ON COLUMN run_table.kept_bpb IS 'mean over targets, held-out documents that the rules keep [bits per byte]';
COMMENT ON COLUMN run_table.unfiltered_bpb IS 'mean over targets, all held-out documents [bits per byte]';

CREATE VIEW effect_table AS
WITH orders AS (
    SELECT design_id, contrast, min(rowid) AS contrast_order FROM contrasts GROUP BY design_id, contrast
), treatments AS (
    SELECT design_id, contrast, method, any_value(cell) AS treatment FROM contrast_cells WHERE coefficient > 0
    GROUP BY design_id, contrast, method HAVING count(*) = 1
), budgets AS (
    SELECT c.design_id, c.contrast, c.method, max(r.tokens) AS train_tokens
    FROM contrast_cells c JOIN runs r ON r.design_id = c.design_id AND r.cell = c.cell
    WHERE c.coefficient > 0 GROUP BY c.design_id, c.contrast, c.method
), detectable AS (
    SELECT design_id, family, max(mde_worst_case) AS mde, max(mde) AS mde_single FROM power WHERE sd_source = 'measured' GROUP BY design_id, family
), places AS (
    SELECT design_id, slice AS target, min(rowid) AS target_order FROM slices GROUP BY design_id, slice
)
SELECT e.*, coalesce(o.contrast_order, -1) AS contrast_order, coalesce(t.target_order, -1) AS target_order,
    coalesce(c.treatment, e.slice) AS treatment, b.train_tokens, d.mde, d.mde_single,
    coalesce(e.reason, CASE WHEN e.family = 'own-slice' THEN 'by construction' END) AS note
FROM effects e
LEFT JOIN orders o ON o.design_id = e.design_id AND o.contrast = e.contrast
LEFT JOIN treatments c ON c.design_id = e.design_id AND c.contrast = e.contrast AND c.method = e.method
LEFT JOIN budgets b ON b.design_id = e.design_id AND b.contrast = e.contrast AND b.method = e.method
LEFT JOIN detectable d ON d.design_id = e.design_id AND d.family = e.family
LEFT JOIN places t ON t.design_id = e.design_id AND t.target = e.target;
COMMENT ON VIEW effect_table IS 'Every effect with its training budget, the smallest effect that could be seen, and what to know about it.';
COMMENT ON COLUMN effect_table.contrast_order IS 'place of the contrast in the design';
COMMENT ON COLUMN effect_table.target_order IS 'place of the target among the slices of the design';
COMMENT ON COLUMN effect_table.treatment IS 'cell that counts +1; the slice or decision, if several do';
COMMENT ON COLUMN effect_table.train_tokens IS 'tokens that the treatment was trained on; the most of them, if several cells count as it [tokens]';
COMMENT ON COLUMN effect_table.mde IS 'minimum detectable effect at the worst-case corrected alpha, from the measured noise [bits per byte]';
COMMENT ON COLUMN effect_table.mde_single IS 'minimum detectable effect of a single test at alpha .05 [bits per byte]';
COMMENT ON COLUMN effect_table.note IS 'by construction, or why there is no estimate';

CREATE VIEW mixture_table AS
WITH orders AS (SELECT design_id, cell, min(rowid) AS cell_order, any_value(role) AS role FROM cells GROUP BY design_id, cell)
SELECT w.*, coalesce(o.cell_order, -1) AS cell_order, o.role, w.drawn_bytes / nullif(w.drawn_tokens, 0) AS bytes_per_token
FROM mixture_weights w LEFT JOIN orders o USING (design_id, cell)
ORDER BY w.design_id, cell_order, w.atom;
COMMENT ON VIEW mixture_table IS 'What every cell was trained on: weights, tokens and epochs of its atoms.';
COMMENT ON COLUMN mixture_table.cell_order IS 'place of the cell in the design';
COMMENT ON COLUMN mixture_table.role IS 'base, treatment, null or positive';
COMMENT ON COLUMN mixture_table.bytes_per_token IS 'text per token drawn: equal tokens are not equal bytes [bytes per token]';

CREATE VIEW choice_table AS
SELECT r.design_id, r.cell, r.model, i.target, count(DISTINCT i.item_id) AS items, count(DISTINCT i.run_id) AS runs,
    avg(i.margin_bpb) AS mean_margin_bpb, avg(i.correct::INTEGER) AS accuracy_frac
FROM item_scores i JOIN runs r USING (run_id)
GROUP BY r.design_id, r.cell, r.model, i.target ORDER BY r.design_id, r.cell, r.model, i.target;
COMMENT ON VIEW choice_table IS 'Continuation choice by cell and target; the margin decides, accuracy is for display.';
COMMENT ON COLUMN choice_table.design_id IS 'hash of the whole design';
COMMENT ON COLUMN choice_table.cell IS 'cell';
COMMENT ON COLUMN choice_table.model IS 'llama or ngram';
COMMENT ON COLUMN choice_table.target IS 'held-out slice that the questions are from';
COMMENT ON COLUMN choice_table.items IS 'questions [items]';
COMMENT ON COLUMN choice_table.runs IS 'runs that answered them [runs]';
COMMENT ON COLUMN choice_table.mean_margin_bpb IS 'best other minus true continuation; positive is right [bits per byte]';
COMMENT ON COLUMN choice_table.accuracy_frac IS 'share of questions where the true continuation is likeliest (chance: .25)';

CREATE VIEW task_table AS
SELECT r.design_id, r.cell, r.model, i.task, i.part, count(DISTINCT i.item_id) AS items, count(DISTINCT i.model) AS runs,
    sum(i.margin_nats) / ln(2) / sum(i.gold_bytes) AS margin_bpb, sum(i.gold_nats) / ln(2) / sum(i.gold_bytes) AS gold_bpb,
    avg(i.correct::INTEGER) AS accuracy_frac
FROM task_item_scores i JOIN runs r ON r.run_id = i.design_id || '/' || i.model
GROUP BY r.design_id, r.cell, r.model, i.task, i.part ORDER BY r.design_id, r.cell, r.model, i.task, i.part;
COMMENT ON VIEW task_table IS 'Tasks by cell and part: sums over items and runs; the margin decides, accuracy is for display.';
COMMENT ON COLUMN task_table.design_id IS 'hash of the whole design';
COMMENT ON COLUMN task_table.cell IS 'cell';
COMMENT ON COLUMN task_table.model IS 'llama or ngram';
COMMENT ON COLUMN task_table.task IS 'pairs_en, pairs_zh, cloze_TARGET, or a packaged task';
COMMENT ON COLUMN task_table.part IS 'phenomenon, or the task';
COMMENT ON COLUMN task_table.items IS 'questions [items]';
COMMENT ON COLUMN task_table.runs IS 'runs that answered them [runs]';
COMMENT ON COLUMN task_table.margin_bpb IS 'summed margins (best other minus right choice, in nats) by summed bytes of the right choice; null for one choice [bits per byte]';
COMMENT ON COLUMN task_table.gold_bpb IS 'summed nats by summed bytes of the right choice [bits per byte]';
COMMENT ON COLUMN task_table.accuracy_frac IS 'share of questions where the right choice is likeliest';

CREATE MACRO effect_documents(design, contrast_name) AS TABLE
SELECT s.slice, d.doc_id, d.source, coalesce(d.url, d.path) AS place, d.lang, d.split, d.kept, d.first_reason, d.failed_rules,
    d.duplicate_kind, d.leader, d.similarity, d.text_bytes, d.n_tokens, d.shard, d.shard_row
FROM (SELECT DISTINCT design_id, slice FROM contrasts WHERE design_id = design AND contrast = contrast_name) c
JOIN slice_documents s ON s.design_id = c.design_id AND s.slice = c.slice
JOIN curated d ON d.doc_id = s.doc_id
ORDER BY d.part, d."row";
COMMENT ON MACRO TABLE effect_documents IS 'effect_documents(design_id, contrast): the documents of the slice that an effect speaks of, and the decision on each.';
