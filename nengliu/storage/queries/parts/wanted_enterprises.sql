{scope} AND enterprise IN (SELECT enterprise FROM wanted)
    AND period_start >= fromUnixTimestamp64Milli({start:Int64}) AND period_start < fromUnixTimestamp64Milli({end:Int64})
