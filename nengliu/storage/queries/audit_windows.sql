-- Which rows of a level are stored for these points in a span, bare as they are?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: points points, from_ms instants, level level, start instant, end instant
-- columns: enterprise, point, period_start_s, used, estimated, decimals, mean, low, high, last, covered_s, received,
--   due, good, late, substituted, manual, suspect, bad, reason, coal_kgce, coal_equal_kgce, co2_kg, book, known_at_s,
--   revision
-- from_ms is not looked at.
SELECT enterprise, point, toInt64(toUnixTimestamp(period_start)) AS period_start_s, used, estimated, decimals, mean,
    low, high, last, covered_s, received, due, good, late, substituted, manual, suspect, bad, reason, coal_kgce,
    coal_equal_kgce, co2_kg, book, toInt64(toUnixTimestamp(known_at)) AS known_at_s, revision
FROM {windows(
    {part(wanted_points)}
)}
ORDER BY enterprise, point, period_start
