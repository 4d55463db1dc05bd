-- Which quarter-hours bear a revision of which no reading and no notice of their point is stored?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprises texts, start instant, end instant
-- columns: enterprise, point, at_ms, revision
-- A computed point has no readings of its own: its revision is that of a reading or a notice of any point of its enterprise,
-- which has no name here.
WITH
    computed AS ({part(computed_points)}),
    (SELECT groupUniqArray(enterprise) FROM computed) AS computing
SELECT enterprise, point, toInt64(toUnixTimestamp(period_start)) * 1000 AS at_ms, revision
FROM window_15min FINAL
WHERE {part(wanted_enterprises)}
    AND cityHash64(enterprise, if((enterprise, point) IN (SELECT enterprise, point FROM computed), '', point), revision) NOT IN (
        SELECT cityHash64(enterprise, arrayJoin(if(has(computing, enterprise), ['', point], [point])), each)
        FROM reading_chunk FINAL
        ARRAY JOIN position AS each
        WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
            AND each IN (
                SELECT revision FROM window_15min
                WHERE {part(wanted_enterprises)}
            )
        UNION ALL
        SELECT cityHash64(enterprise, arrayJoin(['', point]), position) FROM point
        WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
    )
ORDER BY enterprise, point, at_ms
