-- Which hours, days and months differ from the sum of the rows below them?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprises texts, start instant, end instant
-- columns: enterprise, point, level, at_ms, own, below, used, used_below, estimated, estimated_below,
--   received, received_below, decimals, decimals_below, revision, revision_below
-- Whole months: of a month every day must lie in the span.  A day and a month may bear a later revision than what
-- they are made of (a factor was restated), never an earlier one; but of a gauge with several formulas each level follows
-- the one that holds at its start, and parts of it may follow one that was told later.
WITH turning AS (SELECT enterprise, point FROM ({part(computed_points)}) WHERE turns)
SELECT enterprise, point, level, toInt64(toUnixTimestamp(r.at)) * 1000 AS at_ms,
    toUInt32(countIf(side = 1)) AS own, toUInt32(countIf(side = 0)) AS below,
    sumIf(r.used, side = 1) AS used, sumIf(r.used, side = 0) AS used_below,
    sumIf(r.estimated, side = 1) AS estimated, sumIf(r.estimated, side = 0) AS estimated_below,
    sumIf(r.received, side = 1) AS received, sumIf(r.received, side = 0) AS received_below,
    maxIf(r.decimals, side = 1) AS decimals, maxIf(r.decimals, side = 0) AS decimals_below,
    maxIf(r.revision, side = 1) AS revision, maxIf(r.revision, side = 0) AS revision_below
FROM (
    SELECT 'hour' AS level, 0 AS side, enterprise, point, toStartOfHour(period_start) AS at,
        used, estimated, received, decimals, revision
    FROM window_15min FINAL
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'hour', 1, enterprise, point, period_start, used, estimated, received, decimals, revision
    FROM window_hour FINAL
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'day', 0, enterprise, point, toStartOfDay(period_start), used, estimated, received, decimals, revision
    FROM window_hour FINAL
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'day', 1, enterprise, point, period_start, used, estimated, received, decimals, revision
    FROM window_day FINAL
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'month', 0, enterprise, point, toDateTime(toStartOfMonth(period_start), 'Asia/Shanghai'),
        used, estimated, received, decimals, revision
    FROM window_day FINAL
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'month', 1, enterprise, point, period_start, used, estimated, received, decimals, revision
    FROM window_month FINAL
    WHERE {part(wanted_enterprises)}
) AS r
GROUP BY enterprise, point, level, at_ms
HAVING own != 1 OR below = 0 OR used != used_below OR estimated != estimated_below OR received != received_below
    OR decimals != decimals_below
    OR (revision < revision_below OR (level = 'hour' AND revision != revision_below))
        AND (enterprise, point) NOT IN (SELECT enterprise, point FROM turning)
ORDER BY enterprise, point, level, at_ms
