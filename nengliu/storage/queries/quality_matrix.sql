-- How many incidents of each class and cause were raised in a span, city by city?
-- parameters: region text = '', industry text = '', start instant, end instant
-- columns: region, class, cause, count, open
-- open: of them not closed now.
SELECT u.region AS region, i.class AS class, i.cause AS cause, count() AS count, countIf(i.state != 'closed') AS open
FROM (
    SELECT enterprise, class, cause, state FROM {newest(incident: {scope})}
    WHERE raised_at >= fromUnixTimestamp64Milli({start:Int64})
        AND raised_at < fromUnixTimestamp64Milli({end:Int64})
) AS i
INNER JOIN (
    {part(narrowed)}
) AS u USING (enterprise)
GROUP BY region, class, cause
ORDER BY region, class, cause
