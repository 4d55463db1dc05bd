-- Which points are silent beyond their due time, the longest first?
-- parameters: region text = '', industry text = '', now instant = 0, limit integer = 200
-- columns: enterprise, name, name_en, region, point, point_name, point_name_en, last_received_at, silent_s, total
-- present: it tells how fresh data are now; completeness and intake can be asked as of a day
-- last_received_at, silent_s: NULL for one that never said anything; such ones come first.  The due time is that of
-- quality_online.  total: all silent points.
WITH
    if({now:Int64} = 0, now(), toDateTime(intDiv({now:Int64}, 1000))) AS asked_at,
    units AS ({part(narrowed)}),
    due AS (
        SELECT enterprise, point, argMax(interval_s, position) AS interval_s, argMax(name, position) AS name,
            argMax(name_en, position) AS name_en FROM point
        WHERE {scope} GROUP BY enterprise, point
    ),
    newest AS (
        SELECT enterprise, point, max(last_received_at) AS received_at FROM point_newest
        WHERE {scope} GROUP BY enterprise, point
    )
SELECT enterprise, u.name AS name, u.name_en AS name_en, u.region AS region, point, d.name AS point_name,
    d.name_en AS point_name_en,
    if(n.received_at = 0, NULL, toDateTime64(n.received_at, 3, 'Asia/Shanghai')) AS last_received_at,
    if(n.received_at = 0, NULL, dateDiff('second', n.received_at, asked_at)) AS silent_s, count() OVER () AS total
FROM due AS d
INNER JOIN units AS u USING (enterprise)
LEFT JOIN newest AS n USING (enterprise, point)
WHERE n.received_at = 0
    OR dateDiff('second', n.received_at, asked_at) > if(d.interval_s = 0, 86400, greatest(1800, 2 * d.interval_s))
ORDER BY n.received_at, enterprise, point
LIMIT {limit:UInt64}
