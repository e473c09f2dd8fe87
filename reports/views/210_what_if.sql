-- What if: other weights of the slices (from a fitted law), another threshold of a rule (from the signals of all documents).

CREATE MACRO law_values(study, weights) AS TABLE
WITH asked AS (
    SELECT key AS slice, value::DOUBLE AS weight FROM json_each(to_json(weights))
), wrong AS (
    SELECT (SELECT string_agg(slice, ', ' ORDER BY slice) FROM asked WHERE slice NOT IN (SELECT slice FROM law_slices WHERE design_id = study)) AS unknown,
        (SELECT string_agg(slice, ', ' ORDER BY slice_order) FROM law_slices WHERE design_id = study) AS known,
        coalesce((SELECT min(weight) FROM asked), -1) >= 0 AND (SELECT sum(weight) FROM asked) > 0 AS usable,
        (SELECT sum(weight) FROM asked) AS total
), point AS (
    SELECT s.slice, CASE WHEN w.unknown IS NOT NULL THEN error('what_if: no such slice: ' || w.unknown || '; expected some of ' || w.known)
        WHEN NOT w.usable THEN error('what_if: weights must be from 0 up, and not all 0') ELSE coalesce(a.weight, 0) / w.total END AS weight
    FROM law_slices s CROSS JOIN wrong w LEFT JOIN asked a USING (slice) WHERE s.design_id = study
), sums AS (
    SELECT f.target, f.fit, any_value(f) AS f,
        sum(l.slope * CASE WHEN f.law <> 'power' THEN p.weight WHEN p.weight > 0 THEN p.weight ** f.power ELSE 0 END ORDER BY l.slice) AS s
    FROM law_fits f JOIN law_slopes l USING (design_id, target, fit) JOIN point p USING (slice)
    WHERE f.design_id = study GROUP BY f.target, f.fit
)
SELECT target, fit, f.law, CASE f.law WHEN 'linear' THEN f."offset" + s WHEN 'log-linear' THEN exp(f."offset" + s)
    WHEN 'exponential' THEN f.floor + f.scale * exp(s) ELSE f.floor + f.scale * (f."offset" + s) ** -f.falloff END AS value
FROM sums;
COMMENT ON MACRO TABLE law_values IS 'law_values(design_id, weights): the value of the fitted law at a mixture, of all runs (fit 0) and without each fold.';

CREATE MACRO what_if(weights, design := NULL) AS TABLE
WITH study AS (
    SELECT coalesce(design, (SELECT arg_max(d.design_id, d.design_order) FROM designs d SEMI JOIN law_fits f USING (design_id)),
        error('what_if: no law was fitted: train a swarm and run `mixtrace laws`')) AS design_id
), total AS (
    SELECT sum(value::DOUBLE) AS total FROM json_each(to_json(weights))
), outside AS (
    SELECT string_agg(s.slice || ' ' || round(coalesce(a.value::DOUBLE, 0) / t.total, 4) || ' (swarm ' || round(s.least, 4) || ' to ' || round(s.most, 4) || ')',
        ', ' ORDER BY s.slice_order) AS slices
    FROM law_slices s CROSS JOIN total t LEFT JOIN json_each(to_json(weights)) a ON a.key = s.slice
    WHERE s.design_id = (SELECT design_id FROM study)
        AND coalesce(a.value::DOUBLE, 0) / t.total NOT BETWEEN s.least - 1e-9 AND s.most + 1e-9
), here AS (
    SELECT * FROM law_values((SELECT design_id FROM study), weights)
), nature AS (
    SELECT target, value FROM law_values((SELECT design_id FROM study), (SELECT map_from_entries(list((slice, natural_weight))) FROM law_slices
        WHERE design_id = (SELECT design_id FROM study))) WHERE fit = 0
), ends AS ( -- CV+ (Barber et al. 2021): every run's out-of-fold error around the fit that has not seen its fold
    SELECT p.target, floor(0.05 * (count(*) + 1))::BIGINT AS rank, list_sort(list(h.value - abs(p.measured - p.predicted))) AS lows,
        list_reverse_sort(list(h.value + abs(p.measured - p.predicted))) AS highs
    FROM law_predictions p JOIN here h ON h.target = p.target AND h.fit = p.fold
    WHERE p.design_id = (SELECT design_id FROM study) GROUP BY p.target
), found AS (
    SELECT t.rowid AS place, t.target, t.importance, h.law, h.value, e.lows[e.rank] AS lo, e.highs[e.rank] AS hi, n.value AS at_natural
    FROM law_targets t JOIN here h ON h.target = t.target AND h.fit = 0 JOIN ends e ON e.target = t.target JOIN nature n ON n.target = t.target
    WHERE t.design_id = (SELECT design_id FROM study)
), shown AS (
    SELECT * FROM found UNION ALL BY NAME
    SELECT -1 AS place, '(utility)' AS target, 1.0 AS importance, any_value(law) AS law, sum(importance * value ORDER BY place) AS value,
        NULL::DOUBLE AS lo, NULL::DOUBLE AS hi, sum(importance * at_natural ORDER BY place) AS at_natural FROM found
)
SELECT (SELECT design_id FROM study) AS design_id, f.target, f.importance, f.law, f.value AS predicted,
    CASE WHEN o.slices IS NULL THEN f.lo END AS lo, CASE WHEN o.slices IS NULL THEN f.hi END AS hi, f.at_natural AS predicted_natural,
    f.value - f.at_natural AS change, o.slices IS NOT NULL AS extrapolates,
    CASE WHEN o.slices IS NOT NULL THEN 'EXTRAPOLATES beyond the swarm, no interval holds: ' || o.slices
        WHEN f.place < 0 THEN 'sum of importance times prediction; no interval'
        ELSE '95 % for a further run of a mixture drawn as the swarm was; a chosen mixture needs fresh runs' END AS note
FROM shown f CROSS JOIN outside o ORDER BY f.place;
COMMENT ON MACRO TABLE what_if IS 'what_if(weights, design := newest with a law): what the fitted law predicts for a mixture, {''slice'': weight, ...}, scaled to sum 1; slices not named get 0. Bits per byte per target, the change against natural, and whether a weight leaves the range of the swarm.';

CREATE VIEW signal_numbers AS
SELECT part, "row", signal, value FROM (
    UNPIVOT (SELECT part, "row", TRY_CAST(COLUMNS(* EXCLUDE (part, "row")) AS DOUBLE) FROM signals)
    ON COLUMNS(* EXCLUDE (part, "row")) INTO NAME signal VALUE value
);
COMMENT ON VIEW signal_numbers IS 'Every numeric signal of every document, one per row.';
COMMENT ON COLUMN signal_numbers.part IS 'number of the part of the plan';
COMMENT ON COLUMN signal_numbers."row" IS 'row in its part';
COMMENT ON COLUMN signal_numbers.signal IS 'name of the signal, a column of signals';
COMMENT ON COLUMN signal_numbers.value IS 'its value, exactly; null if it was not measured [unit of the signal]';

CREATE VIEW rule_bounds AS
SELECT rule_order, rule, signal, side, value FROM (UNPIVOT recipe_rules ON min, max, above, below INTO NAME side VALUE value)
ORDER BY rule_order, side;
COMMENT ON VIEW rule_bounds IS 'Every bound of every rule that is one number: what what_if_threshold can move.';
COMMENT ON COLUMN rule_bounds.rule_order IS 'place in the order of reasons, from 0';
COMMENT ON COLUMN rule_bounds.rule IS 'name of the rule; a reason in decisions';
COMMENT ON COLUMN rule_bounds.signal IS 'column of signals that it bounds';
COMMENT ON COLUMN rule_bounds.side IS 'min, max, above or below';
COMMENT ON COLUMN rule_bounds.value IS 'the bound, for documents of languages without a bound of their own [unit of the signal]';

CREATE MACRO threshold_documents(rule_name, new_value, moved_side) AS TABLE
WITH moved AS (
    SELECT * REPLACE (
        CASE WHEN moved_side = 'min' THEN new_value ELSE min END AS min, CASE WHEN moved_side = 'max' THEN new_value ELSE max END AS max,
        CASE WHEN moved_side = 'above' THEN new_value ELSE above END AS above, CASE WHEN moved_side = 'below' THEN new_value ELSE below END AS below)
    FROM recipe_rules WHERE rule = rule_name
)
SELECT c.doc_id, c.source, c.lang, c.text_bytes, c.n_tokens, c.kept, v.value AS signal_value, list_contains(c.failed_rules, rule_name) AS fails_now,
    coalesce(list_contains(r.languages, c.lang), true) AND coalesce(list_contains(r.sources, c.source), true) AND NOT list_contains(r.not_sources, c.source)
        AND v.value IS NOT NULL AND (isnan(v.value) OR coalesce(v.value < coalesce(r.min_by_language[c.lang], r.min), false)
            OR coalesce(v.value > coalesce(r.max_by_language[c.lang], r.max), false) OR coalesce(v.value <= r.above, false)
            OR coalesce(v.value >= r.below, false)) AS fails,
    c.failed_rules = [rule_name] AS fails_nothing_else
FROM curated c CROSS JOIN moved r LEFT JOIN signal_numbers v ON v.part = c.part AND v."row" = c."row" AND v.signal = r.signal
ORDER BY c.part, c."row";
COMMENT ON MACRO TABLE threshold_documents IS 'threshold_documents(rule, value, side): every document with whether the rule fails it now, and at another value.';

CREATE MACRO threshold_effects(rule_name, moved_side, current_value, new_value) AS TABLE
WITH studies AS ( -- dose-responses of this signal, in the direction of this bound
    SELECT d.design_id, d.design_order, d.name, list_sort(CAST(json_extract(d.body,
            CASE WHEN moved_side IN ('min', 'above') THEN '$.spec.thresholds.min' ELSE '$.spec.thresholds.max' END) AS DOUBLE[])) AS levels
    FROM designs d WHERE json_extract_string(d.body, '$.spec.thresholds.signal') = (SELECT signal FROM recipe_rules WHERE rule = rule_name)
), newest AS (
    SELECT s.design_id, s.name, levels[1] AS low, levels[-1] AS high,
        CASE WHEN moved_side IN ('min', 'above') THEN 1 ELSE -1 END * (new_value - current_value) / (levels[-1] - levels[1]) AS stricter,
        new_value BETWEEN levels[1] AND levels[-1] AND current_value BETWEEN levels[1] AND levels[-1] AS inside
    FROM studies s SEMI JOIN effects e USING (design_id) WHERE len(levels) > 1 ORDER BY s.design_order DESC LIMIT 1
), fitted AS ( -- an estimate is lax minus strict over the whole range
    SELECT e.target, n.*, -e.estimate * stricter AS change, -e.lo * stricter AS one, -e.hi * stricter AS other, e.reason AS why
    FROM newest n JOIN effects e USING (design_id)
    WHERE e.family = 'decisions' AND e.method = 'retrain' AND e.metric = 'bpb' AND contains(e.contrast, ', fitted on ')
)
SELECT target, CASE WHEN inside THEN change END AS estimate, CASE WHEN inside THEN least(one, other) END AS lo,
    CASE WHEN inside THEN greatest(one, other) END AS hi, design_id,
    CASE WHEN NOT inside THEN 'the study ' || name || ' measured thresholds from ' || low || ' to ' || high || ': nothing is predicted beyond them'
        WHEN change IS NULL THEN 'the study ' || name || ' has no estimate: ' || coalesce(why, 'no run finished')
        ELSE 'bits per byte, positive: worse; the slope that the study ' || name || ' fitted from ' || low || ' to ' || high || coalesce('; ' || why, '') END AS reason
FROM fitted;
COMMENT ON MACRO TABLE threshold_effects IS 'threshold_effects(rule, side, value now, new value): what the newest dose-response over the signal of a rule predicts of moving its bound; no rows if there is none.';

CREATE MACRO what_if_threshold(rule_name, new_value, moved_side := NULL) AS TABLE
WITH matching AS (
    SELECT count(*) AS n, min(side) AS side, min(value) AS value, min(signal) AS signal, string_agg(side, ', ' ORDER BY side) AS sides
    FROM rule_bounds WHERE rule = rule_name AND (moved_side IS NULL OR side = moved_side)
), bound AS (
    SELECT signal, value, CASE WHEN n = 0 THEN error('what_if_threshold: no rule ' || rule_name || ' with a number for a bound; see rule_bounds')
        WHEN n > 1 THEN error('what_if_threshold: the rule ' || rule_name || ' has the bounds ' || sides || ': name one as the third argument') ELSE side END AS side
    FROM matching
), counted AS (
    SELECT count(*) FILTER (fails_now) AS failing_now, count(*) FILTER (fails) AS failing, coalesce(sum(n_tokens) FILTER (fails), 0)::BIGINT AS failing_tokens,
        count(*) FILTER (kept) AS kept_now, coalesce(sum(n_tokens) FILTER (kept), 0)::BIGINT AS kept_tokens_now,
        count(*) FILTER (kept AND fails) AS dropped, coalesce(sum(n_tokens) FILTER (kept AND fails), 0)::BIGINT AS dropped_tokens,
        count(*) FILTER (fails_nothing_else AND NOT fails) AS restored,
        coalesce(sum(n_tokens) FILTER (fails_nothing_else AND NOT fails), 0)::BIGINT AS restored_tokens
    FROM threshold_documents(rule_name, new_value, (SELECT side FROM bound))
), effects AS (
    SELECT target, estimate, lo, hi, design_id, reason FROM threshold_effects(rule_name, (SELECT side FROM bound), (SELECT value FROM bound), new_value)
)
SELECT rule_name AS rule, b.signal, b.side, b.value AS current_value, new_value::DOUBLE AS new_value, c.failing_now, c.failing, c.failing_tokens, c.kept_now,
    c.kept_tokens_now, c.dropped, c.dropped_tokens, c.restored, c.restored_tokens, c.kept_now - c.dropped + c.restored AS kept,
    c.kept_tokens_now - c.dropped_tokens + c.restored_tokens AS kept_tokens, e.target, e.estimate AS predicted_effect, e.lo, e.hi, e.design_id,
    coalesce(e.reason, 'no study of this workspace moved this threshold: no effect can be predicted') AS effect_note
FROM bound b CROSS JOIN counted c LEFT JOIN effects e ON true;
COMMENT ON MACRO TABLE what_if_threshold IS 'what_if_threshold(rule, value, side := min, max, above or below): documents and tokens that the rule would drop or give back at another value, deduplication left as it is, and the effect of that on every target if a study measured it.';

CREATE VIEW law_weight_table AS
WITH orders AS (SELECT design_id, mixture, min(rowid) AS mixture_order FROM law_mixtures GROUP BY design_id, mixture)
SELECT w.*, s.natural_weight, s.least, s.most, s.lower, s.upper, s.slice_order, o.mixture_order
FROM law_weights w JOIN law_slices s USING (design_id, slice) JOIN orders o USING (design_id, mixture);
COMMENT ON VIEW law_weight_table IS 'Weights of the mixtures of a swarm beside their limits and the range that the swarm has seen.';
COMMENT ON COLUMN law_weight_table.mixture_order IS 'place in law_mixtures';
