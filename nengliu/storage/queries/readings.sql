-- What did a point say in a span, reading by reading, the standing value of each time?
-- parameters: enterprise text, point text, start instant, end instant, limit integer = 5000
-- columns: read_at, value, quality, reason, received_at
-- value: the register of a counter, the value otherwise, in the unit of the point.
SELECT read_at, ticks / intExp10(p.decimals) AS value, quality, {name(reason, r.reason)} AS reason,
    toDateTime64(r.received_at, 3, 'Asia/Shanghai') AS received_at
FROM {readings(
    {scope} AND enterprise = {enterprise:String} AND point = {point:String}
        AND period_start >= toStartOfHour(fromUnixTimestamp64Milli({start:Int64}))
        AND period_start < fromUnixTimestamp64Milli({end:Int64})
        AND read_at >= fromUnixTimestamp64Milli({start:Int64}) AND read_at < fromUnixTimestamp64Milli({end:Int64})
)} AS r
INNER JOIN (
    SELECT enterprise, point, argMax(decimals, position) AS decimals FROM point
    WHERE {scope} AND enterprise = {enterprise:String} AND point = {point:String}
    GROUP BY enterprise, point
) AS p USING (enterprise, point)
ORDER BY read_at, origin
LIMIT {limit:UInt64}
