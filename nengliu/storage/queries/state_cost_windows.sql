-- What did these points use in each quarter-hour of these days?  (for the cost of days)
-- parameters: points points, from_ms instants
-- columns: enterprise, point, start_ms, used, estimated, known_at_s, revision
-- present: a command works on what is stored now
-- The instants are the starts of the days, one for each of the points; a point may stand there many times.
SELECT enterprise, point, toUnixTimestamp(q.period_start) * 1000 AS start_ms, used, estimated,
    toInt64(toUnixTimestamp(q.known_at)) AS known_at_s, q.revision AS revision
FROM window_15min AS q FINAL
WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
    AND q.period_start >= (SELECT fromUnixTimestamp64Milli(min(from_ms)) FROM wanted)
    AND q.period_start < (SELECT fromUnixTimestamp64Milli(max(from_ms) + 86400000) FROM wanted)
    AND (enterprise, point, toUnixTimestamp(toStartOfDay(q.period_start)) * 1000) IN (
        SELECT enterprise, point, from_ms FROM wanted
    )
ORDER BY enterprise, point, q.period_start
