"""Windows of every level in SQL alone, from the raw readings, by window functions: the definition of ADR 0012.

Nothing of the product's own functions is used: what a meter is worth comes from the catalogue's JSON.
"""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

QUARTER, DAY, CHINA = 900_000, 86_400_000, 28_800_000
START = {
    "15min": "toDateTime(intDiv(q, 1000), 'Asia/Shanghai')",
    "hour": "toStartOfHour(toDateTime(intDiv(q, 1000), 'Asia/Shanghai'))",
    "day": "toStartOfDay(toDateTime(intDiv(q, 1000), 'Asia/Shanghai'))",
    "month": "toDateTime(toStartOfMonth(toDateTime(intDiv(q, 1000), 'Asia/Shanghai')), 'Asia/Shanghai')",
}
METER = (
    "Tuple(from_ms Int64, unit String, decimals UInt8, multiplier Int64, modulus Int64, "
    "first Nullable(Int64), last Nullable(Int64))"
)
QUARTERS = f"""
CREATE TABLE recomputed_15min ENGINE = MergeTree ORDER BY (enterprise, point, q) AS
WITH
    p AS (
        SELECT enterprise, point, argMax(kind, position) AS kind, argMax(decimals, position) AS decimals,
            argMax(unit, position) AS unit, argMax(interval_s, position) AS interval_s,
            JSONExtractInt(argMax(definition, position), 'hold_s') AS hold_s,
            JSONExtract(argMax(definition, position), 'meters', 'Array({METER})') AS meters
        FROM point GROUP BY enterprise, point
    ),
    said AS (
        SELECT enterprise, point, toUnixTimestamp64Milli(read_at) AS at, argMin(r.ticks, r.origin) AS ticks
        FROM reading AS r GROUP BY enterprise, point, at
    ),
    meters AS (
        SELECT enterprise, point, n, if(n = 1, 0, m.from_ms) AS since, m.modulus AS modulus, m.first AS first,
            m.last AS last,
            m.multiplier * if(m.unit = p.unit, 1, if(m.unit = 'MWh' AND p.unit = 'kWh', 1000, 0))
                * toInt64(intExp10(p.decimals - m.decimals)) AS worth
        FROM p ARRAY JOIN meters AS m, arrayEnumerate(meters) AS n
        WHERE kind = 'counter'
    ),
    shown AS (
        SELECT enterprise, point, s.at AS at, toInt64(m.n) AS meter, 1 AS after, s.ticks AS steps
        FROM said AS s ASOF INNER JOIN meters AS m
            ON s.enterprise = m.enterprise AND s.point = m.point AND s.at >= m.since
    ),
    spans AS (SELECT enterprise, point, min(at) AS a, max(at) AS b FROM shown GROUP BY enterprise, point),
    exchanges AS (
        SELECT enterprise, point, y.since AS at, toInt64(x.n) AS gone, assumeNotNull(x.last) AS last,
            toInt64(y.n) AS came, assumeNotNull(y.first) AS first
        FROM meters AS x INNER JOIN meters AS y ON x.enterprise = y.enterprise AND x.point = y.point AND y.n = x.n + 1
        INNER JOIN spans AS s ON s.enterprise = x.enterprise AND s.point = x.point
        WHERE x.last IS NOT NULL AND y.first IS NOT NULL AND s.a < y.since AND y.since <= s.b
    ),
    stops AS (
        SELECT * FROM shown
        UNION ALL SELECT enterprise, point, at, gone, 0, last FROM exchanges
        UNION ALL SELECT enterprise, point, at, came, 0, first FROM exchanges
    ),
    pairs AS (
        SELECT enterprise, point, lagInFrame(at, 1, -1) OVER w AS a, at AS b,
            lagInFrame(meter, 1, 0) OVER w = meter AS same, meter, lagInFrame(steps) OVER w AS before, steps AS now
        FROM stops WINDOW w AS (PARTITION BY enterprise, point ORDER BY at, meter, after
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    amounts AS (
        SELECT enterprise, point, a, b, toInt128(worth) * (now - before
            + if(now < before AND modulus > 0 AND before > 0.9 * modulus AND now < 0.1 * modulus, modulus, 0)
            ) AS amount, toFloat64(nan) AS value
        FROM pairs INNER JOIN meters AS m
            ON pairs.enterprise = m.enterprise AND pairs.point = m.point AND pairs.meter = toInt64(m.n)
        WHERE same AND a >= 0
        UNION ALL
        SELECT enterprise, point, at, at + interval_s * 1000, toInt128(ticks), nan
        FROM said INNER JOIN p USING (enterprise, point) WHERE kind = 'period'
        UNION ALL
        SELECT enterprise, point, at, least(at + hold_s * 1000, if(next > at, next, at + hold_s * 1000)), toInt128(0),
            ticks / pow(10, decimals)
        FROM (
            SELECT enterprise, point, at, ticks, leadInFrame(at, 1, 0) OVER (PARTITION BY enterprise, point ORDER BY at
                ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next
            FROM said
        ) AS s INNER JOIN p USING (enterprise, point) WHERE kind = 'gauge'
    ),
    pieces AS (
        SELECT enterprise, point, q, a, b, amount, value, greatest(q, a) AS l, least(q + {QUARTER}, b) AS r,
            if(b - a > 3000000000, 1000, 1) AS unit, toInt128(greatest(intDiv(b - a, unit), 1)) AS whole,
            amount * intDiv(l - a, unit) AS x, amount * intDiv(r - a, unit) AS y,
            if(r >= b, amount, intDiv(y, whole) - (y < 0 AND y % whole != 0))
                - if(l <= a, 0, intDiv(x, whole) - (x < 0 AND x % whole != 0)) AS share,
            intDiv(a, {QUARTER}) != intDiv(greatest(b - 1, a), {QUARTER}) AS split
        FROM amounts
        ARRAY JOIN arrayMap(n -> n * {QUARTER},
            range(intDiv(a, {QUARTER}), intDiv(greatest(b - 1, a), {QUARTER}) + 1)) AS q
    ),
    counted AS (
        SELECT enterprise, point, intDiv(at, {QUARTER}) * {QUARTER} AS q, count() AS received
        FROM (
            SELECT enterprise, point, at, if(interval_s = 0, at, intDiv(at + {CHINA}, interval_s * 1000)) AS cell,
                min(at) OVER (PARTITION BY enterprise, point, cell) AS first
            FROM said INNER JOIN p USING (enterprise, point)
        ) WHERE at = first
        GROUP BY enterprise, point, q
    )
SELECT enterprise, point, q, sum(s.used) AS used, sum(s.estimated) AS estimated, sum(s.covered) AS covered,
    sum(s.weighted) AS weighted, min(s.low) AS low, max(s.high) AS high, max(s.last) AS last,
    sum(s.received) AS received
FROM (
    SELECT enterprise, point, toInt64(q) AS q, toInt64(sum(share)) AS used,
        toInt64(sumIf(share, split AND isNaN(value))) AS estimated,
        toInt64(sum(r - l)) AS covered, sumIf(value * (r - l), isFinite(value)) AS weighted,
        minOrNullIf(value, isFinite(value)) AS low, maxOrNullIf(value, isFinite(value)) AS high,
        argMaxOrNullIf(value, a, isFinite(value)) AS last, toInt64(0) AS received
    FROM pieces GROUP BY enterprise, point, q
    UNION ALL
    SELECT enterprise, point, toInt64(q), 0, 0, 0, 0, NULL, NULL, NULL, toInt64(received) FROM counted
) AS s
GROUP BY enterprise, point, q
"""
COMPARE = """
SELECT count() AS n, countIf(rows != 2) AS alone,
    countIf(rows = 2 AND (used != used_own OR estimated != estimated_own OR received != received_own)) AS unequal,
    max(if(rows = 2, abs(used - used_own), 0)) AS most_ticks,
    countIf(isFinite(mean_own) OR isFinite(mean)) AS gauges,
    countIf(rows = 2 AND (isFinite(mean_own) != isFinite(mean) OR low IS DISTINCT FROM low_own
        OR high IS DISTINCT FROM high_own OR last IS DISTINCT FROM last_own)) AS extremes,
    max(if(isFinite(mean) AND isFinite(mean_own), abs(mean - mean_own) / greatest(abs(mean_own), 1), 0)) AS most_mean
FROM (
    SELECT enterprise, point, at, count() AS rows, sumIf(t.used, own) AS used_own, sumIf(t.used, NOT own) AS used,
        sumIf(t.estimated, own) AS estimated_own, sumIf(t.estimated, NOT own) AS estimated,
        sumIf(t.received, own) AS received_own, sumIf(t.received, NOT own) AS received,
        sumIf(t.mean, own) AS mean_own, sumIf(t.mean, NOT own) AS mean,
        maxIf(t.low, own) AS low_own, maxIf(t.low, NOT own) AS low, maxIf(t.high, own) AS high_own,
        maxIf(t.high, NOT own) AS high, maxIf(t.last, own) AS last_own, maxIf(t.last, NOT own) AS last
    FROM (
        SELECT true AS own, enterprise, point, period_start AS at, used, estimated, toInt64(received) AS received, mean,
            if(isNaN(low), NULL, low) AS low, if(isNaN(high), NULL, high) AS high, if(isNaN(last), NULL, last) AS last
        FROM window_{level} FINAL
        UNION ALL
        SELECT false, enterprise, point, {start} AS at, sum(c.used), sum(c.estimated), sum(c.received),
            if(countIf(c.low IS NOT NULL) > 0, sum(c.weighted) / sum(c.covered), nan), min(c.low), max(c.high),
            argMaxIf(c.last, c.q, c.last IS NOT NULL)
        FROM recomputed_15min AS c GROUP BY enterprise, point, at
    ) AS t
    GROUP BY enterprise, point, at
)
"""


def compare(client: Client) -> dict[str, dict[str, float]]:
    """Compare each level with what this file makes of the readings; the client's database has the tables."""
    client.command("DROP TABLE IF EXISTS recomputed_15min")
    client.command(QUARTERS)
    found = {}
    for level, start in START.items():
        answer = client.query(COMPARE.format(level=level, start=start))
        found[level] = dict(zip(answer.column_names, answer.result_rows[0], strict=True))
    client.command("DROP TABLE recomputed_15min")
    return found
