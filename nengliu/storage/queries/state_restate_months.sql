-- Which months of these points are stored from the month of these instants on, and of how many of them?  (for restatements)
-- parameters: points points, from_ms instants
-- columns: month_ms, points
-- present: a command and a flow that restates work on what is stored now
WITH {part(month_at)}
SELECT toUnixTimestamp(period_start) * 1000 AS month_ms, uniqExact(enterprise, point) AS points
FROM window_month
WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted) AND period_start >= month_at
GROUP BY month_ms
ORDER BY month_ms
