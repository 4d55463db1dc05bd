-- Does everything that came in add up, per source and day of receipt (law 3: difference is 0)?
-- parameters: enterprise text = '', start instant, end instant
-- columns: enterprise, source, day, received, valid, duplicate, quarantined, conflicts, difference
SELECT enterprise, source, toDateTime64(toStartOfDay(received_at), 3, 'Asia/Shanghai') AS day,
    sum(i.received) AS received, sum(i.valid) AS valid,
    sum(i.duplicate) AS duplicate, sum(i.quarantined) AS quarantined, sum(i.conflicts) AS conflicts,
    toInt64(sum(i.received)) - sum(i.valid) - sum(i.duplicate) - sum(i.quarantined) AS difference
FROM intake AS i FINAL
WHERE {scope} AND {known(received_at)} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
    AND received_at >= fromUnixTimestamp64Milli({start:Int64})
    AND received_at < fromUnixTimestamp64Milli({end:Int64})
GROUP BY enterprise, source, day
ORDER BY enterprise, source, day
