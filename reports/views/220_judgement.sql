-- Can a study be trusted, and what follows for its decisions.

CREATE VIEW trust_table AS
WITH checks AS (
    SELECT design_id, list_position(['adequacy', 'sham', 'shuffle', 'canary'], control) AS position,
        CASE control
            WHEN 'adequacy' THEN 'Does the proxy beat the 3-gram of the same tokens?'
            WHEN 'sham' THEN 'Does a change that changes nothing show no effect?'
            WHEN 'shuffle' THEN 'Does shuffled text hurt?'
            WHEN 'canary' THEN 'Are made-up facts found, and only there?'
        END AS question, control AS "check", CASE WHEN passed THEN 'passed' ELSE 'failed' END AS verdict, estimate AS value, lo, hi, detail
    FROM controls
), noise_of AS (
    SELECT design_id, sqrt(avg(sd_between_seeds ** 2) FILTER (cell_type = 'base' AND vary = 'all')) AS sd,
        sqrt(avg(sd_paired ** 2) FILTER (cell_type = 'controls')) AS paired, median(rho) AS rho, max(n_blocks) AS n_blocks
    FROM noise WHERE metric = 'bpb' GROUP BY design_id
), alone AS (
    SELECT design_id, string_agg(format('only {} {:.4f}', vary, sd), ', ' ORDER BY vary) AS parts FROM (
        SELECT design_id, vary, sqrt(avg(sd_between_seeds ** 2)) AS sd FROM noise
        WHERE cell_type = 'base' AND vary <> 'all' GROUP BY design_id, vary
    ) GROUP BY design_id
), noise_rows AS (
    SELECT n.design_id, 5 AS position, 'How much do seeds alone move a score?' AS question, 'noise' AS "check", NULL AS verdict,
        coalesce(n.sd, n.paired) AS value, NULL AS lo, NULL AS hi,
        concat_ws('; ', CASE WHEN n.paired IS NOT NULL THEN format('sd of paired differences {:.4f} bpb', n.paired) END,
            CASE WHEN n.rho IS NOT NULL THEN format('correlation by pairing {:.2f} (median)', n.rho) END, a.parts, format('{} blocks', n.n_blocks)) AS detail
    FROM noise_of n LEFT JOIN alone a USING (design_id)
), deltas AS (
    SELECT design_id, family, min(delta) AS delta FROM contrasts WHERE metric = 'bpb' GROUP BY design_id, family
), power_rows AS (
    SELECT p.design_id, 6 AS position, format('How small an effect could be seen ({})?', p.family) AS question, 'power' AS "check", NULL AS verdict,
        p.mde_worst_case AS value, NULL AS lo, NULL AS hi,
        format('with 80 % power after correction over {} tests; {:.4f} for a single test; noise {}{}', p.tests, p.mde, p.sd_source,
            CASE WHEN d.delta IS NULL THEN '' WHEN p.mde_worst_case <= d.delta THEN format('; δ is {:.3f}: enough', d.delta)
                 ELSE format('; δ is {:.3f}: too few blocks to see as little', d.delta) END) AS detail
    FROM power p LEFT JOIN deltas d USING (design_id, family) WHERE p.family IN ('cross-slice', 'decisions')
    QUALIFY row_number() OVER (PARTITION BY p.design_id, p.family ORDER BY p.sd_source = 'assumed', p.sd_source) = 1
)
SELECT * FROM checks UNION ALL SELECT * FROM noise_rows UNION ALL SELECT * FROM power_rows ORDER BY design_id, position, question;
COMMENT ON VIEW trust_table IS 'Can this study be trusted? Its controls, noise and power, in the order in which to ask.';
COMMENT ON COLUMN trust_table.design_id IS 'hash of the whole design';
COMMENT ON COLUMN trust_table.position IS 'place in the order of asking';
COMMENT ON COLUMN trust_table.question IS 'what is asked';
COMMENT ON COLUMN trust_table."check" IS 'adequacy, sham, shuffle, canary, noise or power';
COMMENT ON COLUMN trust_table.verdict IS 'passed or failed; null for noise and power, which are numbers';
COMMENT ON COLUMN trust_table.value IS 'effect of the control, sd over seeds, or detectable effect [bits per byte]';
COMMENT ON COLUMN trust_table.lo IS 'lower end of its 95 % interval [bits per byte]';
COMMENT ON COLUMN trust_table.hi IS 'upper end of its 95 % interval [bits per byte]';
COMMENT ON COLUMN trust_table.detail IS 'what was found and what was expected';

CREATE VIEW decision_table AS
SELECT r.*, e.documents_lo, e.documents_hi, e.q,
    CASE WHEN r.sign_at_lower_rate IS NULL AND r.sign_at_more_tokens IS NULL THEN NULL
         WHEN 'opposite' IN (r.sign_at_lower_rate, r.sign_at_more_tokens) THEN 'turns'
         WHEN r.sign_at_lower_rate = 'same' AND r.sign_at_more_tokens = 'same' THEN 'stays'
         ELSE 'not shown' END AS sign
FROM recommendations r LEFT JOIN effects e ON e.design_id = r.design_id AND e.contrast = r.contrast AND e.method = 'retrain'
ORDER BY r.design_id, r.decision, r.target = 'utility' DESC, r.target, r.contrast;
COMMENT ON VIEW decision_table IS 'What to do about each curation decision, with its effect, its cost, and whether the sign stays at another rate and budget.';
COMMENT ON COLUMN decision_table.documents_lo IS 'lower end of the 95 % interval over new documents and seeds [bits per byte]';
COMMENT ON COLUMN decision_table.documents_hi IS 'upper end of that interval [bits per byte]';
COMMENT ON COLUMN decision_table.q IS 'p after correction within the family';
COMMENT ON COLUMN decision_table.sign IS 'stays (at lr/3 and on 2x tokens), turns (at one of them), or not shown; null if not run';
