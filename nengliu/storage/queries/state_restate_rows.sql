-- How do the months of these points stand, in the month of these instants?  Whole rows.  (for restatements)
-- parameters: points points, from_ms instants
-- columns: enterprise, point, period_start, used, estimated, decimals, mean, low, high, last, covered_s, received, due,
--   good, late, substituted, manual, suspect, bad, reason, coal_kgce, coal_equal_kgce, co2_kg, book, known_at, revision
-- present: a command and a flow that restates work on what is stored now
WITH {part(month_at)}
SELECT enterprise, point, toInt64(toUnixTimestamp(m.period_start)) AS period_start, used, estimated, decimals, mean, low,
    high, last, covered_s, received, due, good, late, substituted, manual, suspect, bad, reason, coal_kgce,
    coal_equal_kgce, co2_kg, book, toInt64(toUnixTimestamp(m.known_at)) AS known_at, revision
FROM window_month AS m FINAL
WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
    AND m.period_start >= month_at AND m.period_start < addMonths(month_at, 1)
