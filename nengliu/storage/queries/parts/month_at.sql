(
    SELECT toDateTime(toStartOfMonth(fromUnixTimestamp64Milli(min(from_ms), 'Asia/Shanghai')), 'Asia/Shanghai') FROM wanted
) AS month_at
