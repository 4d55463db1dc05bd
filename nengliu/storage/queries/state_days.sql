-- Which days of these points, in these spans, were known at a position of the log?  (for flows)
-- parameters: points points, from_ms instants, position integer
-- columns: enterprise, point, period_start_s, used, estimated, mean, covered_s, received, good, late,
--   substituted, manual, suspect, bad, low, high, last, reason, coal_kgce, coal_equal_kgce, co2_kg,
--   known_at_s, revision
-- From each instant on to the end of its month.  A day whose stored version is newer than the position is not
-- said: the replay makes it again.
SELECT enterprise, point, toInt64(toUnixTimestamp(period_start)) AS period_start_s, used, estimated, mean,
    covered_s, received, good, late, substituted, manual, suspect, bad, low, high, last, reason,
    coal_kgce, coal_equal_kgce, co2_kg, toInt64(toUnixTimestamp(known_at)) AS known_at_s, revision
FROM (
    SELECT * FROM window_day FINAL
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
        AND period_start >= (SELECT fromUnixTimestamp64Milli(min(from_ms)) FROM wanted)
    UNION ALL
    SELECT * FROM window_day_history FINAL
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
        AND period_start >= (SELECT fromUnixTimestamp64Milli(min(from_ms)) FROM wanted)
) AS d INNER JOIN wanted USING (enterprise, point)
WHERE d.revision < {position:UInt64}
    AND d.period_start >= fromUnixTimestamp64Milli(from_ms)
    AND d.period_start < addMonths(
        toStartOfMonth(toTimeZone(fromUnixTimestamp64Milli(from_ms), 'Asia/Shanghai')), 1
    )
ORDER BY enterprise, point, period_start, revision DESC
LIMIT 1 BY enterprise, point, period_start
