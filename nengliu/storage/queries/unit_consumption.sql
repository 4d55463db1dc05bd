-- How much energy did a ton of product, and 10,000 CNY of output value and of value added, take?
-- parameters: enterprise text = '', region text = '', industry text = '', start instant, end instant
-- columns: enterprise, period_start, product, coal_kgce, electricity_kwh, output_t, share, kgce_per_t, kwh_per_t, output_value,
--   tce_per_output_value, value_added, tce_per_value_added, revision
-- level: month
-- A row for each month and product; energy that all products share is split by their output (share).  product: nothing where an
-- enterprise reports its output without names.  Output 0 or unknown: undefined (NULL), never 0 and never infinite.  Money [10k CNY]
-- at comparable prices; the energy of the enterprise is the gross of `accounts`.  Source: GB/T 2589, TC 4.5.4-1.
WITH
    crossing AS ({part(crossing)}),
    burnt AS (
        SELECT enterprise, w.period_start AS starts_at, max(w.revision) AS revision,
            arraySort(groupArrayIf((item, point, sign * w.coal_kgce), isFinite(w.coal_kgce))) AS coals,
            arraySum(one -> one.3, coals) AS coal,
            sumOrNullIf(sign * w.used / intExp10(w.decimals), item = 'electricity' AND unit = 'kWh') AS electricity
        FROM {windows(
            {part(asked_enterprise)}
        )} AS w
        INNER JOIN crossing USING (enterprise, point)
        GROUP BY enterprise, starts_at
    ),
    told AS (
        SELECT enterprise, measure, toDateTime(month, 'Asia/Shanghai') AS starts_at, value FROM ({part(activity_months)})
    ),
    products AS (
        SELECT enterprise, starts_at, substring(measure, 8) AS product, value AS output,
            value / nullIf(sum(value) OVER (PARTITION BY enterprise, starts_at), 0) AS share
        FROM told WHERE startsWith(measure, 'output') AND measure != 'output_value'
    ),
    money AS (
        SELECT enterprise, starts_at, sumIf(value, measure = 'output_value') AS output_value,
            sumIf(value, measure = 'value_added') AS value_added
        FROM told GROUP BY enterprise, starts_at
    )
SELECT b.enterprise AS enterprise, toDateTime64(b.starts_at, 3, 'Asia/Shanghai') AS period_start, p.product AS product,
    if(empty(b.coals), NULL, b.coal) AS coal_kgce, b.electricity AS electricity_kwh,
    nullIf(p.output, 0) AS output_t, p.share AS share,
    coal_kgce * share / output_t AS kgce_per_t, electricity_kwh * share / output_t AS kwh_per_t,
    nullIf(m.output_value, 0) AS output_value, coal_kgce / 1000 / output_value AS tce_per_output_value,
    nullIf(m.value_added, 0) AS value_added, coal_kgce / 1000 / value_added AS tce_per_value_added, b.revision AS revision
FROM burnt AS b
LEFT JOIN products AS p ON p.enterprise = b.enterprise AND p.starts_at = b.starts_at
LEFT JOIN money AS m ON m.enterprise = b.enterprise AND m.starts_at = b.starts_at
ORDER BY enterprise, b.starts_at, product
