{scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
    AND period_start >= fromUnixTimestamp64Milli({start:Int64}) AND period_start < fromUnixTimestamp64Milli({end:Int64})
