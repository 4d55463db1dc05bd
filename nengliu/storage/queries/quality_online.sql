-- How many enterprises and points are heard within their due time, by city and industry?
-- parameters: region text = '', industry text = '', now instant = 0
-- columns: region, industry, enterprises, heard, points, points_heard, queued_s
-- present: it tells how fresh data are now; completeness and intake can be asked as of a day
-- A point is heard when it said something within two of its intervals, half an hour at least; of one without an interval
-- within a day.  An enterprise is heard when any of its points is.  queued_s: median age of the newest receipts [s].
WITH
    if({now:Int64} = 0, now(), toDateTime(intDiv({now:Int64}, 1000))) AS asked_at,
    units AS ({part(narrowed)}),
    due AS (
        SELECT enterprise, point, argMax(interval_s, position) AS interval_s FROM point
        WHERE {scope} GROUP BY enterprise, point
    ),
    newest AS (
        SELECT enterprise, point, max(last_received_at) AS received_at FROM point_newest
        WHERE {scope} GROUP BY enterprise, point
    ),
    each AS (
        SELECT enterprise, count() AS points, countIf(n.received_at > 0
            AND dateDiff('second', n.received_at, asked_at)
                <= if(d.interval_s = 0, 86400, greatest(1800, 2 * d.interval_s))) AS points_heard,
            max(n.received_at) AS newest_at
        FROM due AS d LEFT JOIN newest AS n USING (enterprise, point) GROUP BY enterprise
    )
SELECT u.region AS region, u.industry AS industry, count() AS enterprises, countIf(e.points_heard > 0) AS heard,
    sum(e.points) AS points, sum(e.points_heard) AS points_heard,
    quantileExactIf(0.5)(dateDiff('second', e.newest_at, asked_at), e.newest_at > 0) AS queued_s
FROM units AS u LEFT JOIN each AS e USING (enterprise)
GROUP BY region, industry
ORDER BY region, industry
