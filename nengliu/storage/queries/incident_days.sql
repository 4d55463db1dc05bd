-- How many incidents stood open at the end of each of the last days, by class?
-- parameters: region text = '', industry text = '', end instant, days integer = 21
-- columns: day, class, open, opened, enterprises
-- A day ends at China midnight, the last one at `end`.  open: began before that and not closed by then; opened: began that day.
WITH
    fromUnixTimestamp64Milli({end:Int64}, 'Asia/Shanghai') AS until_at,
    days AS (
        SELECT addDays(toDate(until_at - toIntervalMillisecond(1)), -toInt64(number)) AS day,
            least(toDateTime64(addDays(day, 1), 3, 'Asia/Shanghai'), until_at) AS closes_at
        FROM numbers({days:UInt64})
    ),
    found AS (
        SELECT enterprise, class, opened_at, closed_at FROM {newest(incident: {scope})}
        WHERE enterprise IN (
            SELECT enterprise FROM {newest(enterprise: {scope})}
            WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
        )
    )
SELECT toDateTime64(d.day, 3, 'Asia/Shanghai') AS day, class,
    countIf(toUnixTimestamp(closed_at) = 0 OR closed_at >= d.closes_at) AS open,
    countIf(toDate(opened_at) = d.day) AS opened, uniqExact(enterprise) AS enterprises
FROM found CROSS JOIN days AS d
WHERE opened_at < d.closes_at
GROUP BY d.day, class
ORDER BY d.day, class
