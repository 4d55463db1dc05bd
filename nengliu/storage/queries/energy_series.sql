-- How much energy crossed the boundary of the enterprises in each day, week, month, quarter or year, by node, and how far can that be trusted?
-- parameters: level coal_level, by text = '', digits integer = 4, region text = '', industry text = '', items text = '',
--   start instant, end instant, stamp stamp = 'start'
-- columns: node, period_start, coal_kgce, used, unit, received, due, estimated_share, enterprises
-- by, items: as for `energy`.  A period of which nothing is known has no coal and no used.  Coal sums leave out what has
-- no factor.  stamp: 'end' gives period_end in place of period_start.  used: NULL where the units differ.  due: since
-- the enterprise was first heard, of silent points too.
WITH
    fromUnixTimestamp64Milli({start:Int64}, 'Asia/Shanghai') AS from_at,
    fromUnixTimestamp64Milli({end:Int64}, 'Asia/Shanghai') AS to_at,
    units AS ({part(units)}),
    boundary AS ({part(boundary)}),
    periods AS (
        SELECT DISTINCT {period(addDays(from_at, number))} AS starts_at, least({next(starts_at)}, to_at) AS ends_at
        FROM numbers(toUInt64(greatest(0, dateDiff('day', from_at, to_at))))
    ),
    owed AS (
        SELECT node, starts_at, any(unit) AS any_unit, uniqExact(unit) AS unit_count,
            sumIf(intDiv(greatest(0, dateDiff('second', greatest(starts_at, begins_at), ends_at)), interval_s),
                heard AND interval_s > 0) AS due
        FROM boundary CROSS JOIN periods GROUP BY node, starts_at
    ),
    burnt AS (
        SELECT b.node AS node, a.period_start AS starts_at,
            sumIf(a.coal_kgce, isFinite(a.coal_kgce)) AS coal,
            sumIf(a.estimated / nullIf(a.used, 0) * a.coal_kgce, isFinite(a.coal_kgce)) AS spread,
            sum(a.used / intExp10(a.decimals)) AS amount, sum(a.received) AS received, uniqExact(enterprise) AS enterprises
        FROM {windows(
            {scope} AND period_start >= fromUnixTimestamp64Milli({start:Int64})
            AND period_start < fromUnixTimestamp64Milli({end:Int64})
        )} AS a
        INNER JOIN boundary AS b USING (enterprise, point)
        GROUP BY node, starts_at
    )
SELECT node, toDateTime64(o.starts_at, 3, 'Asia/Shanghai') AS period_start,
    if(u.enterprises = 0, NULL, u.coal) AS coal_kgce,
    if(u.enterprises = 0 OR o.unit_count != 1, NULL, u.amount) AS used, if(o.unit_count = 1, o.any_unit, '') AS unit,
    u.received AS received, o.due AS due, u.spread / nullIf(u.coal, 0) AS estimated_share, u.enterprises AS enterprises
FROM owed AS o LEFT JOIN burnt AS u ON u.node = o.node AND u.starts_at = toDateTime(o.starts_at, 'Asia/Shanghai')
ORDER BY node, o.starts_at
