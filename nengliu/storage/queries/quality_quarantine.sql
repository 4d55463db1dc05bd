-- How much was held back in a span, why, and of how many enterprises?
-- parameters: enterprise text = '', start instant, end instant
-- columns: reason, count, enterprises, last_at, example
-- example: the evidence of the newest as JSON.  Filters by region and industry do not apply: what is held back may name an
-- enterprise nobody knows.  206: a message that waited for its column list and has been taken in since.
SELECT {name(reason, q.reason)} AS reason, count() AS count, uniqExact(enterprise) AS enterprises,
    toDateTime64(max(q.received_at), 3, 'Asia/Shanghai') AS last_at,
    argMax(q.parameters, (q.received_at, q.position, q.item)) AS example
FROM (
    SELECT * FROM quarantine FINAL
    WHERE reason != 206 AND {scope} AND {known(received_at)} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
        AND received_at >= fromUnixTimestamp64Milli({start:Int64})
        AND received_at < fromUnixTimestamp64Milli({end:Int64})
) AS q
GROUP BY q.reason
ORDER BY count DESC, q.reason
