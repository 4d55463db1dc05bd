-- Which windows of these points, in a span, were known at a position of the log?  (for flows)
-- parameters: level level, points points, from_ms instants, start instant, end instant, position integer
-- columns: enterprise, point, period_start, used, estimated, mean, covered_s, received, due, good, late, substituted,
--   manual, suspect, bad, reason, coal_kgce, coal_equal_kgce, co2_kg, book, known_at, revision
-- A row whose stored version is newer than the position is not said: the replay makes it again.
SELECT enterprise, point, toInt64(toUnixTimestamp(period_start)) AS period_start, used, estimated, mean, covered_s,
    received, due, good, late, substituted, manual, suspect, bad, reason, coal_kgce, coal_equal_kgce, co2_kg, book,
    toInt64(toUnixTimestamp(w.known_at)) AS known_at, revision
FROM {windows(
    {part(wanted_points)}
)} AS w
WHERE w.revision < {position:UInt64}
ORDER BY enterprise, point, w.period_start
