-- Which days of these points, from the first of these instants on, have no cost or one of an older state of things?  (for the cost of days)
-- parameters: points points, from_ms instants, digest text, limit integer = 20000
-- columns: enterprise, point, day_ms, day_revision
-- present: a command works on what is stored now
-- digest: of the book of tariffs in force.  At most `limit` of them, the newest first.
SELECT d.enterprise AS enterprise, d.point AS point, toUnixTimestamp(d.period_start) * 1000 AS day_ms, d.revision AS day_revision
FROM (
    SELECT enterprise, point, period_start, revision FROM window_day FINAL
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
        AND period_start >= (SELECT fromUnixTimestamp64Milli(min(from_ms)) FROM wanted)
) AS d
INNER JOIN (
    SELECT enterprise, point, max(point.position) AS position FROM point
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted) GROUP BY enterprise, point
) AS p ON p.enterprise = d.enterprise AND p.point = d.point
LEFT JOIN (
    SELECT enterprise, point, period_start, day_revision, point_position, book FROM cost_day FINAL
    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
) AS c ON c.enterprise = d.enterprise AND c.point = d.point AND c.period_start = d.period_start
WHERE c.day_revision != d.revision OR c.point_position != p.position OR c.book != {digest:String}
ORDER BY d.period_start DESC, enterprise, point
LIMIT {limit:UInt64}
