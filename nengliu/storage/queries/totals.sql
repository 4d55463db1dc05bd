-- How much did each point use in all, in whole ticks, and when most?
-- parameters: level level, enterprise text, start instant, end instant
-- columns: enterprise, point, item, unit, decimals, used, estimated, periods, highest, highest_at
-- A tick is 10^-decimals of the unit; used and highest are exact.
SELECT enterprise, point, p.item AS item, p.unit AS unit, any(w.decimals) AS decimals,
    sum(w.used) AS used, sum(w.estimated) AS estimated, count() AS periods, max(w.used) AS highest,
    toDateTime64(
        argMax(w.period_start, (w.used, -toInt64(toUnixTimestamp(w.period_start)))), 3, 'Asia/Shanghai'
    ) AS highest_at
FROM {windows(
    {part(asked_enterprise)}
)} AS w
LEFT JOIN {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p USING (enterprise, point)
GROUP BY enterprise, point, item, unit
ORDER BY enterprise, point
