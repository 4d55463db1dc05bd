-- Of which messages are not all accepted readings stored, or more than were accepted?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprises texts, start instant, end instant, read_from instant
-- columns: enterprise, source, position, at_ms, valid, stored, superseded
-- A reading that lost its place later counts as superseded; one that lost when it came too, so that superseded may be
-- more than was accepted.  Readings stamped before read_from are not looked for.
SELECT enterprise, max(t.source) AS source, position, max(t.at_ms) AS at_ms,
    sum(t.valid) AS valid, sum(t.stored) AS stored, sum(t.superseded) AS superseded
FROM (
    SELECT enterprise, position, source, toInt64(toUnixTimestamp(received_at)) * 1000 AS at_ms,
        toInt64(valid) AS valid, toInt64(0) AS stored, toInt64(0) AS superseded, 1 AS tallied
    FROM intake FINAL
    WHERE {part(wanted_messages)}
    UNION ALL
    SELECT enterprise, each, '', toInt64(0), 0, toInt64(count()), 0, 0
    FROM reading_chunk FINAL
    ARRAY JOIN position AS each
    WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
        AND period_start >= toStartOfHour(fromUnixTimestamp64Milli({read_from:Int64}))
        AND (enterprise, each) IN (
            SELECT enterprise, position FROM intake
            WHERE {part(wanted_messages)}
        )
    GROUP BY enterprise, each
    UNION ALL
    SELECT enterprise, position, '', toInt64(0), 0, 0, toInt64(count()), 0
    FROM reading_superseded FINAL
    WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
        AND read_at >= fromUnixTimestamp64Milli({read_from:Int64})
    GROUP BY enterprise, position
) AS t
GROUP BY enterprise, position
HAVING max(t.tallied) = 1 AND (stored > valid OR valid > stored + superseded)
ORDER BY enterprise, position
