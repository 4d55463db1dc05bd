-- Which due readings could not be taken, from when to when, how many and why?
-- parameters: enterprise text = '', start instant, end instant
-- columns: enterprise, point, source, first_at, last_at, count, reason, parameters
-- One row per point and run of the same reason without a reading due in between; of a range that reaches beyond
-- start or end only what was due inside counts.  `parameters` are those of the run's first range.
WITH
    fromUnixTimestamp64Milli({start:Int64}) AS from_at, fromUnixTimestamp64Milli({end:Int64}) AS to_at,
    clipped AS (
        SELECT enterprise, point, source, reason, parameters,
            if(m.count > 1, intDiv(toUnixTimestamp64Milli(last_at) - toUnixTimestamp64Milli(first_at), m.count - 1), 0)
                AS step_ms,
            if(step_ms > 0, greatest(0, intDiv({start:Int64} - toUnixTimestamp64Milli(first_at) + step_ms - 1, step_ms)), 0)
                AS low,
            if(step_ms > 0,
                least(m.count - 1, intDiv({end:Int64} - toUnixTimestamp64Milli(first_at) + step_ms - 1, step_ms) - 1),
                m.count - 1) AS high,
            toUnixTimestamp64Milli(first_at) + low * step_ms AS first_ms,
            toUnixTimestamp64Milli(first_at) + high * step_ms AS last_ms
        FROM missed AS m FINAL
        WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
            AND last_at >= from_at AND first_at < to_at AND {known(m.received_at)}
    ),
    spaced AS (
        SELECT c.*, p.interval_s AS interval_s FROM clipped AS c
        LEFT JOIN (
            SELECT enterprise, point, argMax(interval_s, position) AS interval_s FROM point
            WHERE {scope} GROUP BY enterprise, point
        ) AS p USING (enterprise, point)
        WHERE c.high >= c.low
    ),
    begun AS (
        SELECT *, first_ms > lagInFrame(last_ms, 1, -1) OVER near + 1000 * toInt64(interval_s)
                OR lagInFrame(last_ms, 1, -1) OVER near < 0 AS begins
        FROM spaced
        WINDOW near AS (PARTITION BY enterprise, point, source, reason ORDER BY first_ms, last_ms
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    numbered AS (
        SELECT *, sum(begins) OVER (PARTITION BY enterprise, point, source, reason ORDER BY first_ms, last_ms
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
        FROM begun
    )
SELECT enterprise, point, source,
    fromUnixTimestamp64Milli(min(first_ms), 'Asia/Shanghai') AS first_at,
    fromUnixTimestamp64Milli(max(last_ms), 'Asia/Shanghai') AS last_at,
    sum(toInt64(high) - low + 1) AS count, {name(reason, n.reason)} AS reason,
    argMin(n.parameters, first_ms) AS parameters
FROM numbered AS n
GROUP BY enterprise, point, source, n.reason, run
ORDER BY enterprise, point, first_at, source, reason
