-- Where does received = valid + duplicate + quarantined not hold, or is what was held back not all there?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprises texts, start instant, end instant
-- columns: enterprise, source, at_ms, received, valid, duplicate, quarantined, held
-- Per source and China day of receipt; held: rows of the quarantine.
SELECT enterprise, source, toInt64(toUnixTimestamp(toStartOfDay(c.received_at))) * 1000 AS at_ms,
    sum(c.received) AS received, sum(c.valid) AS valid, sum(c.duplicate) AS duplicate,
    sum(c.quarantined) AS quarantined, sum(c.held) AS held
FROM (
    SELECT enterprise, source, received_at, toInt64(received) AS received, toInt64(valid) AS valid,
        toInt64(duplicate) AS duplicate, toInt64(quarantined) AS quarantined, toInt64(0) AS held
    FROM intake FINAL
    WHERE {part(wanted_messages)}
    UNION ALL
    SELECT enterprise, source, received_at, 0, 0, 0, 0, 1
    FROM quarantine FINAL
    WHERE {part(wanted_messages)}
) AS c
GROUP BY enterprise, source, at_ms
HAVING received != valid + duplicate + quarantined OR quarantined != held
ORDER BY enterprise, source, at_ms
