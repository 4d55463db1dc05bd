-- What did collectors say of their lines and meters, heartbeats left out?  Newest first.
-- parameters: enterprise text = '', start instant, end instant, limit integer = 1000
-- columns: enterprise, at, source, line, meter, kind, reason, since, parameters, received_at
-- since: at an end, since when the state before lasted; NULL: not known.
SELECT enterprise, at, source, line, meter, {name(kind, e.kind)} AS kind, {name(reason, e.reason)} AS reason,
    nullIf(e.since, toDateTime64(0, 3, 'Asia/Shanghai')) AS since, parameters,
    toDateTime64(e.received_at, 3, 'Asia/Shanghai') AS received_at
FROM link_event AS e FINAL
WHERE {scope} AND {known(e.received_at)} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND e.kind != 3
    AND at >= fromUnixTimestamp64Milli({start:Int64}) AND at < fromUnixTimestamp64Milli({end:Int64})
ORDER BY at DESC, enterprise, source, e.sequence DESC, e.item DESC
LIMIT {limit:UInt64}
