-- How much energy did a unit of value added take, by node, and how did that change?
-- parameters: by text = '', each text = '', digits integer = 4, region text = '', industry text = '', items text = '',
--   start instant, end instant, months_back integer = 12
-- columns: node, period, coal_kgce, value, intensity, change, months, last_period, enterprises, alike
-- level: month
-- Only whole months of enterprises whose value added is known count, on both sides.  value [10k CNY], intensity
-- [tce/10k CNY].  change: against the same enterprises' months `months_back` earlier (alike: how many enterprises);
-- NULL where no value is known there.  each: 'month' for one row per month (period YYYY-MM), '' for one sum.
WITH
    fromUnixTimestamp64Milli({start:Int64}, 'Asia/Shanghai') AS from_at,
    fromUnixTimestamp64Milli({end:Int64}, 'Asia/Shanghai') AS to_at,
    units AS ({part(units)}),
    boundary AS ({part(boundary)}),
    valued AS (
        SELECT enterprise, month, value FROM ({part(activity_months)}) WHERE measure = 'value_added' AND value > 0
    ),
    burnt AS (
        SELECT enterprise, any(b.node) AS node, toDate(a.period_start) AS month,
            sumIf(a.coal_kgce, isFinite(a.coal_kgce)) AS coal
        FROM {windows(month:
            {scope} AND period_start >= addMonths(from_at, -toInt64({months_back:UInt64})) AND period_start < to_at
        )} AS a
        INNER JOIN boundary AS b USING (enterprise, point)
        GROUP BY enterprise, month
    ),
    pairs AS (
        SELECT enterprise, node, month, coal, value FROM burnt INNER JOIN valued USING (enterprise, month)
    )
SELECT n.node AS node, if({each:String} = 'month', formatDateTime(n.month, '%Y-%m'), '') AS period,
    sum(n.coal) AS coal_kgce, sum(n.value) AS value, coal_kgce / 1000 / value AS intensity,
    (sumIf(n.coal, b.value > 0) / nullIf(sumIf(n.value, b.value > 0), 0))
        / nullIf(sum(b.coal) / nullIf(sum(b.value), 0), 0) - 1 AS change,
    uniqExact(n.month) AS months, formatDateTime(max(n.month), '%Y-%m') AS last_period,
    uniqExact(n.enterprise) AS enterprises, uniqExactIf(n.enterprise, b.value > 0) AS alike
FROM (SELECT * FROM pairs WHERE month >= toDate(from_at) AND month < toDate(to_at)) AS n
LEFT JOIN (SELECT enterprise, addMonths(month, toInt64({months_back:UInt64})) AS month, coal, value FROM pairs) AS b
ON n.enterprise = b.enterprise AND n.month = b.month
GROUP BY node, period
ORDER BY node, period
