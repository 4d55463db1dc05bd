-- How much crossed the boundary of the enterprises of each region or industry in each period, item by item?
-- parameters: level level, by text = '', digits integer = 6, region text = '', industry text = '', item text = '',
--   start instant, end instant
-- columns: node, item, unit, period_start, used, coal_kgce, coal_equal_kgce, co2_kg, estimated_share, received, due, points,
--   points_due, enterprises, known_at, revision
-- by: '' for one sum (all that the reader may see, the nation), region (the first `digits` of the code, filled with 0: 2 a
-- province, 4 a city, 6 a county), industry (division of GB/T 4754).  Region and industry are those of the period.
-- Coal is known from the day up; sums leave out what has no factor.  points of points_due were heard.
SELECT multiIf({by:String} = 'region', rightPad(substring(region, 1, {digits:UInt64}), 6, '0'),
        {by:String} = 'industry', extract(industry, '^[A-Z]?[0-9]{2}'), '') AS node,
    item, unit, toDateTime64({period(t.period_start)}, 3, 'Asia/Shanghai') AS period_start,
    if(max(t.points) = 0, NULL, sum(t.used / intExp10(t.decimals))) AS used,
    if(countIf(isFinite(t.coal_kgce)) = 0, NULL, sumIf(t.coal_kgce, isFinite(t.coal_kgce))) AS coal_kgce,
    if(countIf(isFinite(t.coal_equal_kgce)) = 0, NULL, sumIf(t.coal_equal_kgce, isFinite(t.coal_equal_kgce))) AS coal_equal_kgce,
    if(countIf(isFinite(t.co2_kg)) = 0, NULL, sumIf(t.co2_kg, isFinite(t.co2_kg))) AS co2_kg,
    sum(t.estimated / intExp10(t.decimals)) / nullIf(sum(abs(t.used) / intExp10(t.decimals)), 0) AS estimated_share,
    sum(t.received) AS received, sum(t.due) AS due, sum(t.points) AS points, sum(t.points_due) AS points_due,
    uniqExactIf(enterprise, t.points > 0) AS enterprises,
    toDateTime64(max(t.known_at), 3, 'Asia/Shanghai') AS known_at, max(t.revision) AS revision
FROM {totals(
    {scope} AND depth = 0
    AND ({item:String} = '' OR item = {item:String})
    AND period_start >= fromUnixTimestamp64Milli({start:Int64})
    AND period_start < fromUnixTimestamp64Milli({end:Int64})
)} AS t
WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
GROUP BY node, item, unit, period_start
ORDER BY node, item, unit, period_start
