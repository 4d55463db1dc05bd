-- What did the energy of each point cost in each day or month, by band of the tariff?
-- parameters: level coal_level, enterprise text = '', point text = '', start instant, end instant
-- columns: enterprise, point, period_start, band, tariff, used, unit, price, amount, estimated, days, known_at, revision
-- band: sharp, peak, flat, valley, deep_valley; nothing where no tariff was in force.  price [CNY/kWh]: the mean of the period;
-- NULL for a point in another unit.
-- amount [CNY]: NULL where a part has no price.  Computed by the command `cost`; a day of which it was not computed is not there.
-- As of an instant: what had been computed by then of what was known then.
SELECT enterprise, point, toDateTime64(period, 3, 'Asia/Shanghai') AS period_start,
    ['', 'sharp', 'peak', 'flat', 'valley', 'deep_valley'][number] AS band, anyLast(c.tariff) AS tariff,
    sum(c.used[number]) / intExp10(any(c.decimals)) AS used, any(p.unit) AS unit,
    amount / nullIf(if(any(p.unit) = 'kWh', used, NULL), 0) AS price,
    if(countIf(isNaN(c.amount[number])) > 0, NULL, arraySum(one -> one.2, arraySort(groupArray((c.period_start, c.amount[number])))))
        AS amount,
    sum(c.estimated[number]) / intExp10(any(c.decimals)) AS estimated, count() AS days,
    toDateTime64(max(c.known_at), 3, 'Asia/Shanghai') AS known_at, max(c.revision) AS revision
FROM (
    SELECT *, {period(period_start)} AS period, arrayJoin(arrayEnumerate(used)) AS number
    FROM {newest(cost_day:
        {part(asked_enterprise)}
        AND ({point:String} = '' OR point = {point:String})
    )}
) AS c
LEFT JOIN {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p
    ON p.enterprise = c.enterprise AND p.point = c.point
WHERE c.used[number] != 0
GROUP BY enterprise, point, period, number
ORDER BY enterprise, point, period, number
