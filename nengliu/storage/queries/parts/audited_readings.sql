edges AS (  -- the reading of each point before the span and the one after it, looked for nearby first
        SELECT enterprise, point, max(read_at) AS at FROM reading
        WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
            AND period_start >= toStartOfHour(fromUnixTimestamp64Milli({start:Int64} - 259200000))
            AND period_start < fromUnixTimestamp64Milli({start:Int64})
        GROUP BY enterprise, point
        UNION ALL
        SELECT enterprise, point, max(read_at) FROM reading
        WHERE {scope} AND (enterprise, point) IN (
                SELECT enterprise, point FROM wanted WHERE (enterprise, point) NOT IN (
                    SELECT enterprise, point FROM reading
                    WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
                        AND period_start >= toStartOfHour(fromUnixTimestamp64Milli({start:Int64} - 259200000))
                        AND period_start < fromUnixTimestamp64Milli({start:Int64})
                )
            )
            AND period_start < fromUnixTimestamp64Milli({start:Int64} - 259200000)
        GROUP BY enterprise, point
        UNION ALL
        SELECT enterprise, point, min(read_at) FROM reading
        WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
            AND period_start >= fromUnixTimestamp64Milli({end:Int64})
        GROUP BY enterprise, point
    ),
    told AS (  -- what the points said in the span and at its edges, all origins
        SELECT enterprise, point, read_at, origin, ticks, quality, reason, received_at, sequence, position FROM reading
        WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
            AND period_start >= fromUnixTimestamp64Milli({start:Int64})
            AND period_start < fromUnixTimestamp64Milli({end:Int64})
        UNION ALL
        SELECT enterprise, point, read_at, origin, ticks, quality, reason, received_at, sequence, position FROM reading
        WHERE {scope} AND (enterprise, point, read_at) IN (SELECT enterprise, point, at FROM edges)
            AND (enterprise, point, period_start) IN (SELECT enterprise, point, toStartOfHour(at) FROM edges)
    )
