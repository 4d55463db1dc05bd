-- What did enterprises tell of a span's production: output, its value, plan, staff and shifts, by month or day, and who said so?
-- parameters: enterprise text = '', start instant, end instant
-- columns: enterprise, measure, product, period, value, unit, source, origin, by, at, known_at
-- A month belongs to the span that holds its first day.  What was taken back is not told.  by: nothing where no person acted;
-- at: when it was entered, NULL where that was not told.
SELECT enterprise, extract(a.measure, '^[^:]*') AS measure, extract(a.measure, '^[^:]*:(.*)$') AS product, period, value, unit,
    source, a.origin AS origin, a.by AS by,
    if(toUnixTimestamp(a.at) = 0, NULL, toDateTime64(a.at, 3, 'Asia/Shanghai')) AS at,
    toDateTime64(a.known_at, 3, 'Asia/Shanghai') AS known_at
FROM {newest(activity: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS a
WHERE isFinite(value)
    AND toDateOrZero(rpad(period, 10, '-01')) >= toDate(fromUnixTimestamp64Milli({start:Int64}, 'Asia/Shanghai'))
    AND toDateOrZero(rpad(period, 10, '-01')) < toDate(fromUnixTimestamp64Milli({end:Int64}, 'Asia/Shanghai'))
ORDER BY enterprise, period, measure, product
