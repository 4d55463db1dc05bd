-- In which months have these points days, and how many of them?  (for restatements)
-- parameters: points points, from_ms instants
-- columns: month_ms, points
-- present: a command and a flow that restates work on what is stored now
SELECT toUnixTimestamp(period_start) * 1000 AS month_ms, uniqExact(enterprise, point) AS points
FROM window_month
WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
    AND period_start >= (SELECT toStartOfMonth(fromUnixTimestamp64Milli(min(from_ms), 'Asia/Shanghai')) FROM wanted)
GROUP BY month_ms
ORDER BY month_ms
