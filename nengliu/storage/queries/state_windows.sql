-- Which windows of these enterprises, each in its own spans, were known at a position of the log?  (for flows)
-- parameters: level level, spans spans, start instant, end instant, position integer
-- columns: enterprise, point, period_start_s, used, estimated, received, due, reason, known_at_s, revision
-- start and end enclose all spans.  A window whose newest version is newer than the position is not said: the replay
-- makes it again.
SELECT enterprise, point, toInt64(toUnixTimestamp(w.period_start)) AS period_start_s, w.used AS used,
    w.estimated AS estimated, w.received AS received, w.due AS due, w.reason AS reason,
    toInt64(toUnixTimestamp(w.known_at)) AS known_at_s, w.revision AS revision
FROM {windows(
    {part(wanted_enterprises)}
)} AS w
INNER JOIN wanted USING (enterprise)
WHERE w.revision < {position:UInt64} AND w.period_start >= fromUnixTimestamp64Milli(from_ms)
    AND w.period_start < fromUnixTimestamp64Milli(to_ms)
