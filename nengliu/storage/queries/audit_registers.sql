-- On which days does a register's difference not equal the windows of its point?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: services services, start instant, end instant
-- columns: enterprise, point, at_ms, expected, used
-- Whole ticks, after rollover, exchange of meters and multiplier (docs/decisions/0012): the amount between neighbouring
-- readings of one meter is spread in proportion to time, cut at midnight.  Only sums are compared: a day that was never
-- written is found among the levels.
WITH
    {part(audited_readings)},
    spoken AS (  -- of several origins at an instant the first speaks
        SELECT enterprise, point, toUnixTimestamp64Milli(read_at) AS at, argMin(t.ticks, {part(rank)}) AS steps
        FROM told AS t
        GROUP BY enterprise, point, at
    ),
    stops AS (  -- what a register showed, and at an exchange what both did
        SELECT enterprise, point, s.at AS at, w.from_ms AS meter, 1 AS after, s.steps AS steps, w.modulus AS modulus,
            w.worth AS worth
        FROM spoken AS s
        ASOF INNER JOIN wanted AS w ON s.enterprise = w.enterprise AND s.point = w.point AND s.at >= w.from_ms
        UNION ALL
        SELECT enterprise, point, w.from_ms, tupleElement(stop, 1), 0, tupleElement(stop, 2), tupleElement(stop, 3),
            tupleElement(stop, 4)
        FROM wanted AS w
        INNER JOIN (SELECT enterprise, point, min(at) AS first, max(at) AS last FROM spoken GROUP BY enterprise, point) AS k
            USING (enterprise, point)
        ARRAY JOIN [(w.gone_from_ms, w.gone, w.gone_modulus, w.gone_worth), (w.from_ms, w.came, w.modulus, w.worth)] AS stop
        WHERE w.is_known AND k.first < w.from_ms AND w.from_ms <= k.last
    ),
    pairs AS (
        SELECT enterprise, point, at AS end, lagInFrame(at, 1, -1) OVER w AS start,
            steps - lagInFrame(steps) OVER w AS grown, lagInFrame(steps) OVER w AS before, steps AS now,
            lagInFrame(meter, 1, -1) OVER w = meter AS same, modulus, worth
        FROM stops
        WINDOW w AS (PARTITION BY enterprise, point ORDER BY at, meter, after
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    amounts AS (
        SELECT enterprise, point, start, end, toInt128(worth) * (grown + if(
            grown < 0 AND modulus > 0 AND before > 0.9 * modulus AND now < 0.1 * modulus, modulus, 0)) AS amount
        FROM pairs
        WHERE same AND start >= 0
    ),
    days AS (
        SELECT enterprise, point, day, start, end, amount, if(end - start > 3000000000, 1000, 1) AS unit,
            day * 86400000 - 28800000 AS left, (day + 1) * 86400000 - 28800000 AS right
        FROM amounts
        ARRAY JOIN range(intDiv(start + 28800000, 86400000),
            intDiv(greatest(end - 1, start) + 28800000, 86400000) + 1) AS day
    ),
    parts AS (
        SELECT enterprise, point, left, amount * intDiv(left - start, unit) AS a, amount * intDiv(right - start, unit) AS b,
            greatest(intDiv(end - start, unit), 1) AS whole,
            if(right >= end, amount, intDiv(b, whole) - (b < 0 AND b % whole != 0))
                - if(left <= start, 0, intDiv(a, whole) - (a < 0 AND a % whole != 0)) AS part
        FROM days
    )
SELECT enterprise, point, d.at AS at_ms, toInt64(sum(d.expected)) AS expected, toInt64(sum(d.used)) AS used
FROM (
    SELECT enterprise, point, toInt64(left) AS at, toInt128(part) AS expected, toInt128(0) AS used FROM parts
    UNION ALL
    SELECT enterprise, point, toInt64(toUnixTimestamp(period_start)) * 1000, toInt128(0), toInt128(used) FROM window_day FINAL
    WHERE {part(wanted_points)}
) AS d
WHERE at >= {start:Int64} AND at < {end:Int64}
GROUP BY enterprise, point, at_ms
HAVING expected != used
ORDER BY enterprise, point, at_ms
