{scope} AND enterprise IN (SELECT enterprise FROM wanted)
    AND received_at >= fromUnixTimestamp64Milli({start:Int64}) AND received_at < fromUnixTimestamp64Milli({end:Int64})
