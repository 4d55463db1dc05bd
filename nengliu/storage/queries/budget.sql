-- How far is the energy used since New Year from the budget path, month by month, by node?
-- parameters: by text = '', digits integer = 4, region text = '', industry text = '', items text = '', end instant
-- columns: node, month, used_kgce, budget_kgce, deviation, target_tce, own, share_basis, enterprises
-- Sums since New Year of the year that holds the last day before `end`, at the end of each month (the running one: at
-- `end`); used is NULL for months to come, and all year where nothing was heard or where data of most began after
-- New Year (in some month so far, of its enterprises heard this year, fewer than nine in ten): what nobody measured would
-- pass for saved.  deviation: used / budget - 1.  target_tce: of the year; the node's own (own = 1), else the sum of its
-- enterprises' where every one has one; NULL: there is none, and so no budget.
-- Budget = target * share.  share_basis last_year: what last year had used by the same day of what it used in all,
-- January and February judged together, by days (the Spring Festival moves); days: the same share of days, where last
-- year lacks a month.  Source: domain of dual control, budget left and expected share of a month (TC 4.5.7); ours.
WITH
    toDate(fromUnixTimestamp64Milli({end:Int64} - 1, 'Asia/Shanghai')) AS last_day,
    toDateTime(addDays(last_day, 1), 'Asia/Shanghai') AS to_at,
    toDateTime(toStartOfYear(last_day), 'Asia/Shanghai') AS year_at,
    toDateTime(toStartOfMonth(last_day), 'Asia/Shanghai') AS running_at,
    toMonth(last_day) AS running,
    units AS ({part(units)}),
    boundary AS ({part(boundary)}),
    amounts AS (
        SELECT enterprise, point, period_start, coal_kgce, 1 AS whole FROM {windows(month:
            {scope} AND period_start >= addYears(year_at, -1) AND period_start < running_at
        )}
        UNION ALL
        SELECT enterprise, point, period_start, coal_kgce, 0 AS whole FROM {windows(day:
            {scope} AND (period_start >= running_at AND period_start < to_at
                OR period_start >= addYears(running_at, -1) AND period_start < addYears(to_at, -1))
        )}
    ),
    months AS (
        SELECT node, toMonth(a.period_start) AS month,
            sumIf(a.coal_kgce, a.period_start >= year_at AND isFinite(a.coal_kgce)) AS coal,
            uniqExactIf(a.enterprise, a.period_start >= year_at) AS heard,
            sumIf(a.coal_kgce, a.period_start < year_at AND isFinite(a.coal_kgce) AND a.whole) AS last_whole,
            sumIf(a.coal_kgce, a.period_start < year_at AND isFinite(a.coal_kgce)
                AND if(month = running, NOT a.whole, a.whole)) AS last_same
        FROM amounts AS a INNER JOIN boundary AS b USING (enterprise, point)
        GROUP BY node, month
    ),
    targets AS (
        SELECT node, if(o.value > 0, o.value, if(s.targeted = s.enterprises, s.value, NULL)) AS target, o.value > 0 AS own,
            s.enterprises AS enterprises
        FROM (
            SELECT node, count() AS enterprises, countIf(t.value > 0) AS targeted, sum(t.value) AS value
            FROM units LEFT JOIN (
                SELECT enterprise, value FROM {newest(target: {scope})}
                WHERE metric = 'energy_total' AND period = toString(toYear(last_day))
            ) AS t USING (enterprise)
            GROUP BY node
        ) AS s
        LEFT JOIN (
            SELECT if({by:String} = 'region', region, '') AS node, value FROM {newest(target: {scope_region_rows})}
            WHERE enterprise = '' AND metric = 'energy_total'
                AND period = toString(toYear(last_day)) AND {industry:String} = ''
                AND ({by:String} = 'region' OR {by:String} = '' AND {region:String} != ''
                    AND region = rightPad({region:String}, 6, '0'))
        ) AS o USING (node)
    ),
    grid AS (
        SELECT t.node AS node, toUInt8(month_number) AS month, t.target AS target, t.own AS own, t.enterprises AS enterprises,
            m.coal AS coal, m.heard AS heard, m.last_whole AS last_whole, m.last_same AS last_same
        FROM (SELECT *, arrayJoin(range(1, 13)) AS month_number FROM targets) AS t
        LEFT JOIN months AS m ON m.node = t.node AND m.month = t.month_number
    ),
    summed AS (
        SELECT *, max(heard) OVER year AS most, min(if(month > running, 65535, heard)) OVER year AS least,
            if(month > running OR most = 0 OR least < most * 0.9, NULL, sum(coal) OVER upto) AS used,
            sum(last_whole) OVER upto AS last_used,
            sum(last_whole) OVER year AS last_year, min(last_whole) OVER year > 0 AS known,
            sumIf(last_whole, month <= 2) OVER year AS spring, last_used - last_whole + last_same AS last_by_day,
            if(month = running, last_day, toLastDayOfMonth(addMonths(toDate(year_at), month - 1))) AS ends_on,
            toDayOfYear(ends_on) AS passed, toDayOfYear(toLastDayOfMonth(addMonths(toDate(year_at), 1))) AS spring_days
        FROM grid
        WINDOW year AS (PARTITION BY node), upto AS (PARTITION BY node ORDER BY month)
    )
SELECT node, month, used AS used_kgce,
    target * 1000 * multiIf(NOT known, passed / toDayOfYear(toDate(addYears(year_at, 1)) - 1),
        month <= 2, spring / last_year * passed / spring_days,
        month = running, last_by_day / last_year, last_used / last_year) AS budget_kgce,
    used_kgce / nullIf(budget_kgce, 0) - 1 AS deviation, target AS target_tce, own,
    if(known, 'last_year', 'days') AS share_basis, enterprises
FROM summed
ORDER BY node, month
