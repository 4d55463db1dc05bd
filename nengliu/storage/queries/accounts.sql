-- How much energy and carbon does each enterprise account for in each period: gross, deductible and controlled?
-- parameters: level coal_level, enterprise text = '', region text = '', industry text = '', start instant, end instant
-- columns: enterprise, period_start, gross_kgce, gross_equal_kgce, deductible_kgce, deductible_equal_kgce,
--   controlled_kgce, controlled_equal_kgce, co2_kg, co2_electricity_kg, co2_heat_kg, co2_fuel_kg, unknown_items,
--   estimated_share, received, due, points, heard, known_at, revision
-- Gross: what crossed the boundary (metering level 1), what was supplied out counts minus; media and secondary energy made
-- inside do not cross it, so nothing counts twice.  Deductible: points used as feedstock or for new renewables, by the rules
-- (`deductible`) of the book in force at the start of the period.  controlled = gross - deductible.  _equal: by equivalent values.
-- What has no factor is left out and named in unknown_items.  Points are added in the order of their items and names, so that
-- the same rows give the same number to the last bit.  Source: GB/T 2589 (comprehensive energy), NDRC 2022 No.803 and No.1258.
WITH
    crossing AS ({part(crossing)}),
    deductions AS (
        SELECT groupArray((of_item, of_use, share, from_at, to_at)) AS rules FROM ({part(deductions)})
    ),
    each AS (
        SELECT enterprise, point, item, sign, w.period_start AS starts_at, w.used AS used, w.estimated AS estimated,
            w.received AS received, w.due AS due, w.known_at AS known_at, w.revision AS revision,
            sign * w.coal_kgce AS coal, sign * w.coal_equal_kgce AS coal_equal, sign * w.co2_kg AS co2,
            arraySum(arrayMap(
                rule -> if(rule.2 = use AND rule.1 IN ('', item) AND starts_at >= rule.4 AND starts_at < rule.5, rule.3, 0),
                rules
            )) AS share
        FROM {windows(
            {part(asked_enterprise)}
        )} AS w
        INNER JOIN crossing USING (enterprise, point)
        CROSS JOIN deductions
    ),
    sums AS (
        SELECT enterprise, starts_at,
            arraySort(groupArrayIf((item, point, coal, coal_equal, share, estimated / nullIf(used, 0)), isFinite(coal))) AS coals,
            arraySort(groupArrayIf((item, point, co2), isFinite(co2))) AS carbons,
            arraySum(one -> one.3, coals) AS gross, arraySum(one -> one.4, coals) AS gross_equal,
            arraySum(one -> one.3 * one.5, coals) AS deductible, arraySum(one -> one.4 * one.5, coals) AS deductible_equal,
            arraySum(one -> ifNull(abs(one.3) * one.6, 0), coals) / nullIf(arraySum(one -> abs(one.3), coals), 0) AS spread,
            arrayStringConcat(arraySort(groupUniqArrayIf(item, NOT isFinite(coal))), ',') AS unknown_items,
            sum(received) AS received, sum(due) AS due, uniqExact(point) AS heard, max(known_at) AS known_at,
            max(revision) AS revision
        FROM each GROUP BY enterprise, starts_at
    )
SELECT enterprise, toDateTime64(s.starts_at, 3, 'Asia/Shanghai') AS period_start,
    if(empty(coals), NULL, gross) AS gross_kgce, if(empty(coals), NULL, gross_equal) AS gross_equal_kgce,
    if(empty(coals), NULL, deductible) AS deductible_kgce, if(empty(coals), NULL, deductible_equal) AS deductible_equal_kgce,
    gross_kgce - deductible_kgce AS controlled_kgce, gross_equal_kgce - deductible_equal_kgce AS controlled_equal_kgce,
    if(empty(carbons), NULL, arraySum(one -> one.3, carbons)) AS co2_kg,
    if(empty(carbons), NULL, arraySum(one -> if(one.1 = 'electricity', one.3, 0), carbons)) AS co2_electricity_kg,
    if(empty(carbons), NULL, arraySum(one -> if(one.1 IN ('heat', 'steam'), one.3, 0), carbons)) AS co2_heat_kg,
    if(empty(carbons), NULL, arraySum(one -> if(one.1 IN ('electricity', 'heat', 'steam'), 0, one.3), carbons)) AS co2_fuel_kg,
    unknown_items, spread AS estimated_share, s.received AS received, s.due AS due, n.points AS points, s.heard AS heard,
    toDateTime64(s.known_at, 3, 'Asia/Shanghai') AS known_at, s.revision AS revision
FROM sums AS s
LEFT JOIN (SELECT enterprise, count() AS points FROM crossing GROUP BY enterprise) AS n USING (enterprise)
ORDER BY enterprise, s.starts_at
