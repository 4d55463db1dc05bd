-- How did what an enterprise told of its production change: every version of each figure of a span, the newest first?
-- present: it tells every version with the time since which it was known
-- parameters: enterprise text = '', start instant, end instant, limit integer = 1000
-- columns: enterprise, measure, product, period, value, unit, source, origin, by, at, known_at, stands
-- value: NULL where the figure was taken back.  stands: it is the version that counts now.
SELECT enterprise, extract(a.measure, '^[^:]*') AS measure, extract(a.measure, '^[^:]*:(.*)$') AS product, period,
    if(isFinite(a.value), a.value, NULL) AS value, unit, source, a.origin AS origin, a.by AS by,
    if(toUnixTimestamp(a.at) = 0, NULL, toDateTime64(a.at, 3, 'Asia/Shanghai')) AS at,
    toDateTime64(a.known_at, 3, 'Asia/Shanghai') AS known_at,
    a.position = max(a.position) OVER (PARTITION BY enterprise, a.measure, period) AS stands
FROM activity_history AS a FINAL
WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
    AND toDateOrZero(rpad(period, 10, '-01')) >= toDate(fromUnixTimestamp64Milli({start:Int64}, 'Asia/Shanghai'))
    AND toDateOrZero(rpad(period, 10, '-01')) < toDate(fromUnixTimestamp64Milli({end:Int64}, 'Asia/Shanghai'))
ORDER BY a.position DESC, enterprise, measure, product, period
LIMIT {limit:UInt64}
