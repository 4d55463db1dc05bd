-- From which day to which is there any total of each enterprise?  (for flows)
-- parameters:
-- columns: enterprise, from_ms, to_ms
SELECT enterprise, toInt64(toUnixTimestamp(min(period_start))) * 1000 AS from_ms,
    toInt64(toUnixTimestamp(addDays(max(period_start), 1))) * 1000 AS to_ms
FROM total_day
WHERE {scope} AND depth = 0
GROUP BY enterprise
ORDER BY enterprise
