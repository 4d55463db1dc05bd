-- Of which enterprises is a total not the sum of the points at the boundary, in which period?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprises texts, start instant, end instant
-- columns: enterprise, item, level, at_ms, own, below, used, expected, revision, revision_below
-- Points of metering level 1: delivered plus, handed on minus, made inside not at all (docs/decisions/0026); as the points
-- are described now.  used and expected in ticks of the total.
WITH
    t.sign * toInt256(t.used) * toInt256(intExp10(18 - t.decimals)) AS fine,
    toInt256(intExp10(18 - least(18, maxIf(t.decimals, side = 1)))) AS exp,
    boundary AS (
        SELECT enterprise, point, item, unit, if(flow = 'out', -1, 1) AS sign
        FROM (
            SELECT enterprise, point, argMax(item, position) AS item, argMax(unit, position) AS unit,
                argMax(kind, position) AS kind, argMax(metering_level, position) AS level,
                JSONExtractString(argMax(definition, position), 'flow') AS flow
            FROM point
            WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
            GROUP BY enterprise, point
        )
        WHERE kind != 'gauge' AND level = 1 AND flow != 'own'
            AND enterprise IN (SELECT enterprise FROM total_month WHERE {scope})  -- since there are totals of it
    )
SELECT enterprise, item, level, toInt64(toUnixTimestamp(t.at)) * 1000 AS at_ms,
    toUInt32(countIf(side = 1)) AS own, toUInt32(countIf(side = 0)) AS below,
    toInt64(intDiv(sumIf(fine, side = 1), exp)) AS used, toInt64(intDiv(sumIf(fine, side = 0), exp)) AS expected,
    maxIf(t.revision, side = 1) AS revision, maxIf(t.revision, side = 0) AS revision_below
FROM (
    SELECT '15min' AS level, 1 AS side, 1 AS sign, enterprise, item, unit, period_start AS at, decimals, revision, used
    FROM total_15min FINAL
    WHERE {part(wanted_enterprises)} AND depth = 0 AND node = '' AND points_due > 0
    UNION ALL
    SELECT '15min', 0, sign, enterprise, item, unit, period_start, decimals, revision, used
    FROM window_15min FINAL
    INNER JOIN boundary USING (enterprise, point)
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'hour', 1, 1, enterprise, item, unit, period_start, decimals, revision, used
    FROM total_hour FINAL
    WHERE {part(wanted_enterprises)} AND depth = 0 AND node = '' AND points_due > 0
    UNION ALL
    SELECT 'hour', 0, sign, enterprise, item, unit, period_start, decimals, revision, used
    FROM window_hour FINAL
    INNER JOIN boundary USING (enterprise, point)
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'day', 1, 1, enterprise, item, unit, period_start, decimals, revision, used
    FROM total_day FINAL
    WHERE {part(wanted_enterprises)} AND depth = 0 AND node = '' AND points_due > 0
    UNION ALL
    SELECT 'day', 0, sign, enterprise, item, unit, period_start, decimals, revision, used
    FROM window_day FINAL
    INNER JOIN boundary USING (enterprise, point)
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'month', 1, 1, enterprise, item, unit, period_start, decimals, revision, used
    FROM total_month FINAL
    WHERE {part(wanted_enterprises)} AND depth = 0 AND node = '' AND points_due > 0
    UNION ALL
    SELECT 'month', 0, sign, enterprise, item, unit, period_start, decimals, revision, used
    FROM window_month FINAL
    INNER JOIN boundary USING (enterprise, point)
    WHERE {part(wanted_enterprises)}
) AS t
GROUP BY enterprise, item, unit, level, at_ms
HAVING own != 1 AND below > 0 OR sumIf(fine, side = 1) != sumIf(fine, side = 0) OR own = 1 AND revision < revision_below
ORDER BY enterprise, item, level, at_ms
