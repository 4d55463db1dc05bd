-- How many enterprises of each county and industry are known, have ever reported, and report now?
-- parameters: now instant = 0, fresh_s integer = 3600
-- columns: region, industry, enterprises, connected, online, simulated, points, first_at, last_at
-- present: it tells how fresh data are now; completeness and intake can be asked as of a day
-- now: 0 for the current time.  online: something of it was received within `fresh_s` of now.
WITH if({now:Int64} = 0, now64(3), fromUnixTimestamp64Milli({now:Int64})) AS asked_at
SELECT e.region AS region, e.industry AS industry, count() AS enterprises, countIf(n.points > 0) AS connected,
    countIf(n.points > 0 AND dateDiff('second', n.received_at, asked_at) <= {fresh_s:UInt64}) AS online,
    countIf(e.simulated) AS simulated, sum(n.points) AS points,
    minOrNullIf(n.first_at, n.points > 0) AS first_at, maxOrNullIf(n.last_at, n.points > 0) AS last_at
FROM {newest(enterprise: {scope})} AS e
LEFT JOIN (
    SELECT enterprise, uniqExact(point) AS points, min(first_read_at) AS first_at, max(last_read_at) AS last_at,
        max(last_received_at) AS received_at
    FROM point_newest WHERE {scope} GROUP BY enterprise
) AS n USING (enterprise)
GROUP BY region, industry
ORDER BY region, industry
