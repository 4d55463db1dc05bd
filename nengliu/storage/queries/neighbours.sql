-- What did a point say last before an instant, at it, and first after it?
-- parameters: enterprise text, point text, at instant
-- columns: side, read_at, value, unit, decimals, origin
-- side: before, at, after; within 400 days.  Of before and after the value that counts, at the instant every origin's, first
-- the one that counts.  value: the register of a counter, the value otherwise, as sent.
WITH fromUnixTimestamp64Milli({at:Int64}, 'Asia/Shanghai') AS asked
SELECT multiIf(read_at < asked, 'before', read_at = asked, 'at', 'after') AS side, read_at,
    sent / intExp10(sent_decimals) AS value, sent_unit AS unit, sent_decimals AS decimals, origin
FROM {readings(
    {scope} AND enterprise = {enterprise:String} AND point = {point:String}
        AND period_start >= toStartOfHour(fromUnixTimestamp64Milli({at:Int64}, 'Asia/Shanghai')) - toIntervalDay(400)
        AND period_start <= toStartOfHour(fromUnixTimestamp64Milli({at:Int64}, 'Asia/Shanghai')) + toIntervalDay(400)
)}
ORDER BY side, abs(toUnixTimestamp64Milli(read_at) - {at:Int64}), {part(rank)}
LIMIT 1 BY side, if(side = 'at', origin, 0)
