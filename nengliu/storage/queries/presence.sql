-- How many readings came of how many due, by point and quarter-hour?
-- parameters: enterprise text, points text = '', start instant, end instant
-- columns: point, period_start, received, due, late
-- points: ids joined by a comma, '' for all.  A quarter-hour of which nothing is known has no row.
-- level: 15min
SELECT point, toDateTime64(w.period_start, 3, 'Asia/Shanghai') AS period_start, received, due, late
FROM {windows(
    {scope} AND enterprise = {enterprise:String}
    AND ({points:String} = '' OR has(splitByChar(',', {points:String}), point))
    AND period_start >= fromUnixTimestamp64Milli({start:Int64})
    AND period_start < fromUnixTimestamp64Milli({end:Int64})
)} AS w
ORDER BY point, w.period_start
