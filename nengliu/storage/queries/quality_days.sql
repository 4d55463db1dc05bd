-- How complete, late and trustworthy is each enterprise's day?
-- parameters: region text = '', industry text = '', enterprise text = '', start instant, end instant,
--   now instant = 0
-- level: day
-- columns: enterprise, day, due, received, late, substituted, manual, suspect, bad, estimated_points, points
-- due: what the points of the catalogue owed on a day from the enterprise's first reading on, of a running day the part
-- that has passed; a point that is silent owes all the same.  Of an enterprise that ended more than 60 days ago the days
-- end with its newest reading: it is history, not silence.  received: no point more than it owed.
-- estimated_points: points of whose consumption a part is estimated.
WITH
    if({now:Int64} = 0, now64(3), fromUnixTimestamp64Milli({now:Int64})) AS asked_at,
    units AS (
        SELECT enterprise FROM ({part(narrowed)})
        WHERE {enterprise:String} = '' OR enterprise = {enterprise:String}
    ),
    seen AS (
        SELECT enterprise, min(first_read_at) AS first_at, max(last_read_at) AS newest_at,
            if(newest_at < asked_at - INTERVAL 60 DAY, newest_at, asked_at) AS until FROM point_newest
        WHERE {scope} GROUP BY enterprise
    ),
    days AS (
        SELECT toDateTime(arrayJoin(arrayMap(
            step -> toDate(fromUnixTimestamp64Milli({start:Int64}), 'Asia/Shanghai') + step,
            range(toUInt32(intDiv({end:Int64} - {start:Int64}, 86400000)))
        )), 'Asia/Shanghai') AS day
    ),
    timed AS (
        SELECT enterprise, point, argMax(interval_s, position) AS interval_s,
            toStartOfDay(min(valid_from)) AS begins FROM point
        WHERE {scope} AND enterprise IN (SELECT enterprise FROM units) GROUP BY enterprise, point
        HAVING interval_s > 0
    ),
    owed AS (
        SELECT t.enterprise AS enterprise, d.day AS day,
            toUInt64(sum(floor(86400 / t.interval_s
                * least(1, greatest(0, dateDiff('second', d.day, s.until) / 86400))))) AS due,
            count() AS points
        FROM timed AS t INNER JOIN seen AS s USING (enterprise) CROSS JOIN days AS d
        WHERE d.day >= t.begins AND d.day >= toStartOfDay(s.first_at) AND d.day <= s.until
        GROUP BY enterprise, day
    ),
    came AS (
        SELECT enterprise, period_start AS day, sum(least(w.received, w.due)) AS received, sum(w.late) AS late,
            sum(w.substituted) AS substituted, sum(w.manual) AS manual, sum(w.suspect) AS suspect, sum(w.bad) AS bad,
            countIf(w.estimated != 0) AS estimated_points
        FROM {windows(
            {scope} AND enterprise IN (SELECT enterprise FROM units) AND due > 0
            AND period_start >= fromUnixTimestamp64Milli({start:Int64})
            AND period_start < fromUnixTimestamp64Milli({end:Int64})
        )} AS w GROUP BY enterprise, day
    )
SELECT o.enterprise AS enterprise, toDateTime64(o.day, 3, 'Asia/Shanghai') AS day, o.due AS due,
    least(c.received, o.due) AS received, c.late AS late, c.substituted AS substituted, c.manual AS manual,
    c.suspect AS suspect, c.bad AS bad, c.estimated_points AS estimated_points, o.points AS points
FROM owed AS o LEFT JOIN came AS c USING (enterprise, day)
ORDER BY enterprise, o.day
