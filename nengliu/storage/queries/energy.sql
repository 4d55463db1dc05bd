-- How much energy crossed the boundary of the enterprises, by node and part, and how does it differ from another span?
-- parameters: by text = '', part text = '', digits integer = 4, region text = '', industry text = '', items text = '',
--   start instant, end instant, before_start instant = 0, before_end instant = 0
-- columns: node, part, coal_kgce, before_kgce, change, used, used_before, used_change, unit, received, due,
--   estimated_share, unknown_items, enterprises, alike, known_at
-- level: day
-- by: '' for one sum, region (the first `digits` of the code, filled with 0), industry (division of GB/T 4754), enterprise.
-- part: '' for one sum, else item, industry or region.  items: codes with commas between, '' for all of them.
-- Both spans begin with a month; their whole months are read as months, the days that remain as days.
-- Coal sums leave out what has no factor; unknown_items names it.  A node where nothing was heard has none.  change: over
-- the enterprises heard in both spans, and since the first day of the other one (alike), as a share of the other span.
-- used: NULL where the units differ.
-- due: since the enterprise was first heard, of silent points too.
WITH
    length(groupUniqArrayArray(unit_list)) = 1 AS comparable,
    fromUnixTimestamp64Milli({start:Int64}, 'Asia/Shanghai') AS from_at,
    fromUnixTimestamp64Milli({end:Int64}, 'Asia/Shanghai') AS to_at,
    fromUnixTimestamp64Milli({before_start:Int64}, 'Asia/Shanghai') AS other_at,
    fromUnixTimestamp64Milli({before_end:Int64}, 'Asia/Shanghai') AS until_at,
    toDateTime(toStartOfMonth(to_at), 'Asia/Shanghai') AS rest_at,
    toDateTime(toStartOfMonth(until_at), 'Asia/Shanghai') AS other_rest_at,
    units AS ({part(units)}),
    boundary AS ({part(boundary)}),
    amounts AS (
        SELECT enterprise, point, period_start >= from_at AND period_start < to_at AS now, used, estimated, decimals,
            coal_kgce AS coal, received, known_at
        FROM {windows(month:
            {scope} AND (period_start >= from_at AND period_start < rest_at
                OR period_start >= other_at AND period_start < other_rest_at)
        )}
        UNION ALL
        SELECT enterprise, point, period_start >= from_at AND period_start < to_at AS now, used, estimated, decimals,
            coal_kgce AS coal, received, known_at
        FROM {windows(day:
            {scope} AND (period_start >= greatest(from_at, rest_at) AND period_start < to_at
                OR period_start >= greatest(other_at, other_rest_at) AND period_start < until_at)
        )}
    ),
    sums AS (
        SELECT enterprise, point,
            sumIf(coal, now AND isFinite(coal)) AS coal_now, sumIf(coal, NOT now AND isFinite(coal)) AS coal_before,
            sumIf(estimated / nullIf(used, 0) * coal, now AND isFinite(coal)) AS coal_spread,
            countIf(now AND NOT isFinite(coal)) > 0 AS unknown,
            sumIf(used / intExp10(decimals), now) AS used_now, sumIf(used / intExp10(decimals), NOT now) AS used_past,
            sumIf(received, now) AS received_now, countIf(now) > 0 AS heard_now, maxIf(known_at, now) AS known
        FROM amounts GROUP BY enterprise, point
    ),
    each AS (
        SELECT enterprise, node, multiIf({part:String} = 'item', item,
                {part:String} = 'industry', extract(industry, '^[A-Z]?[0-9]{2}'),
                {part:String} = 'region', rightPad(substring(region, 1, {digits:UInt64}), 6, '0'), '') AS part,
            sum(s.coal_now) AS coal, sum(s.coal_before) AS past, sum(s.coal_spread) AS spread,
            sum(s.used_now) AS amount, sum(s.used_past) AS amount_past, groupUniqArray(unit) AS unit_list,
            groupUniqArrayIf(item, s.unknown) AS lacking, sum(s.received_now) AS received_all,
            sumIf(intDiv(greatest(0, dateDiff('second', greatest(from_at, b.begins_at), to_at)), b.interval_s),
                b.heard AND b.interval_s > 0) AS due_all,
            max(s.heard_now) AS heard, max(s.known) AS known,
            heard AND min(b.begins_at) < other_at + INTERVAL 1 DAY AS whole
        FROM boundary AS b LEFT JOIN sums AS s USING (enterprise, point)
        GROUP BY enterprise, node, part
    )
SELECT node, part, if(max(heard), sum(coal), NULL) AS coal_kgce, nullIf(sum(past), 0) AS before_kgce,
    sumIf(coal, whole AND past > 0) / nullIf(sumIf(past, whole), 0) - 1 AS change,
    if(comparable AND max(heard), sum(amount), NULL) AS used,
    if(comparable, nullIf(sum(amount_past), 0), NULL) AS used_before,
    if(comparable, sumIf(amount, whole AND amount_past > 0) / nullIf(sumIf(amount_past, whole), 0) - 1, NULL) AS used_change,
    if(comparable, any(unit_list[1]), '') AS unit, sum(received_all) AS received, sum(due_all) AS due,
    sum(spread) / nullIf(sum(coal), 0) AS estimated_share,
    arrayStringConcat(arraySort(groupUniqArrayArray(lacking)), ',') AS unknown_items,
    uniqExactIf(enterprise, heard) AS enterprises, uniqExactIf(enterprise, whole AND past > 0) AS alike,
    if(max(heard), toDateTime64(max(known), 3, 'Asia/Shanghai'), NULL) AS known_at
FROM each
GROUP BY node, part
ORDER BY node, part
