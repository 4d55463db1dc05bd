{scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
    AND period_start >= fromUnixTimestamp64Milli({start:Int64}) AND period_start < fromUnixTimestamp64Milli({end:Int64})
