-- Which days of these points, in the month of these instants, were known at a position of the log?  Whole rows.  (for restatements)
-- parameters: points points, from_ms instants, position integer
-- columns: enterprise, point, period_start, used, estimated, decimals, mean, low, high, last, covered_s, received, due,
--   good, late, substituted, manual, suspect, bad, reason, coal_kgce, coal_equal_kgce, co2_kg, book, known_at, revision
-- present: bounded by its position
WITH {part(month_at)}
SELECT enterprise, point, toInt64(toUnixTimestamp(d.period_start)) AS period_start, used, estimated, decimals, mean, low,
    high, last, covered_s, received, due, good, late, substituted, manual, suspect, bad, reason, coal_kgce,
    coal_equal_kgce, co2_kg, book, toInt64(toUnixTimestamp(d.known_at)) AS known_at, revision
FROM (
    SELECT * FROM window_day FINAL
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
        AND window_day.period_start >= month_at AND window_day.period_start < addMonths(month_at, 1)
    UNION ALL
    SELECT * FROM window_day_history FINAL
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
        AND window_day_history.period_start >= month_at AND window_day_history.period_start < addMonths(month_at, 1)
) AS d
WHERE revision < {position:UInt64}
ORDER BY enterprise, point, d.period_start, revision DESC
LIMIT 1 BY enterprise, point, d.period_start
