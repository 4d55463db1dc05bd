-- What does an enterprise ('' for all) consume, item by item, at its boundary (metering level 1)?
-- parameters: level coal_level, enterprise text, start instant, end instant
-- columns: item, used, unit, coal_kgce, coal_equal_kgce, co2_kg, received, due
-- A coal or CO2 amount is NULL when a part of it has no factor: a sum without that part would be wrong.
SELECT item, sum(ticks / intExp10(decimals)) AS used, unit,
    if(isNaN(sum(coal)), NULL, sum(coal)) AS coal_kgce,
    if(isNaN(sum(coal_equal)), NULL, sum(coal_equal)) AS coal_equal_kgce,
    if(isNaN(sum(co2)), NULL, sum(co2)) AS co2_kg,
    sum(n_received) AS received, sum(n_due) AS due
FROM (
    SELECT p.item AS item, p.unit AS unit, w.decimals AS decimals, sum(w.used) AS ticks,
        sum(w.coal_kgce) AS coal, sum(w.coal_equal_kgce) AS coal_equal, sum(w.co2_kg) AS co2,
        sum(w.received) AS n_received, sum(w.due) AS n_due
    FROM {windows(
        {part(asked_enterprise)}
    )} AS w
    INNER JOIN (
        SELECT * FROM {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} WHERE metering_level = 1 AND kind != 'gauge'
    ) AS p USING (enterprise, point)
    GROUP BY item, unit, decimals
)
GROUP BY item, unit
ORDER BY item, unit
