-- What was held back, why, and what did it say?  Newest first.
-- parameters: enterprise text = '', start instant, end instant, limit integer = 1000
-- columns: position, item, partition, enterprise, point, source, reason, parameters, payload, received_at
SELECT position, item, partition, enterprise, point, source, reason, parameters, payload,
    toDateTime64(q.received_at, 3, 'Asia/Shanghai') AS received_at
FROM quarantine AS q FINAL
WHERE {scope} AND {known(q.received_at)} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
    AND q.received_at >= fromUnixTimestamp64Milli({start:Int64})
    AND q.received_at < fromUnixTimestamp64Milli({end:Int64})
ORDER BY q.received_at DESC, position DESC, item
LIMIT {limit:UInt64}
