-- Which windows count in other decimals than their point, which never change?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprises texts, start instant, end instant
-- columns: enterprise, point, level, rows, at_ms, decimals, expected
SELECT enterprise, point, level, toUInt32(count()) AS rows, toInt64(toUnixTimestamp(min(w.period_start))) * 1000 AS at_ms, any(w.decimals) AS decimals,
    any(p.decimals) AS expected
FROM (
    SELECT '15min' AS level, enterprise, point, period_start, decimals FROM window_15min FINAL
    WHERE {part(wanted_enterprises)}
    UNION ALL
    SELECT 'month', enterprise, point, period_start, decimals FROM window_month FINAL
    WHERE {part(wanted_enterprises)}
) AS w
INNER JOIN (
    SELECT enterprise, point, argMax(decimals, position) AS decimals FROM point
    WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
    GROUP BY enterprise, point
) AS p USING (enterprise, point)
WHERE w.decimals != p.decimals
GROUP BY enterprise, point, level
ORDER BY enterprise, point, level
