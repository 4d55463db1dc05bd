-- What had these points said from an instant on, and last before it, at a position of the log?  (for flows)
-- parameters: points points, from_ms instants, position integer, lookback_ms integer = 172800000
-- columns: enterprise, point, read_at_ms, origin, ticks, quality, reason, received_at_s, sequence, position,
--   sent, sent_unit, sent_decimals
-- The instant is one for all points, or one each; the rows come in no order.  Values that lost are included,
-- since at an earlier position they may have stood.  The last reading before the instant is looked for within
-- lookback_ms first: a point that speaks has it there, and only for the others everything is read.
WITH
    near AS (
        SELECT enterprise, point, max(read_at) AS start
        FROM (
            SELECT enterprise, point, read_at, position FROM reading
            UNION ALL
            SELECT enterprise, point, read_at, position FROM reading_superseded
        ) AS r INNER JOIN wanted AS w USING (enterprise, point)
        WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted)
            AND position < {position:UInt64}
            AND read_at >= (SELECT fromUnixTimestamp64Milli(min(from_ms) - {lookback_ms:Int64}) FROM wanted)
            AND read_at < (SELECT fromUnixTimestamp64Milli(max(from_ms)) FROM wanted)
            AND read_at < fromUnixTimestamp64Milli(w.from_ms)
        GROUP BY enterprise, point
    ),
    far AS (
        SELECT enterprise, point, max(read_at) AS start
        FROM (
            SELECT enterprise, point, read_at, position FROM reading
            UNION ALL
            SELECT enterprise, point, read_at, position FROM reading_superseded
        ) AS r INNER JOIN wanted AS w USING (enterprise, point)
        WHERE {scope} AND (enterprise, point) IN (
                SELECT enterprise, point FROM wanted
                WHERE (enterprise, point) NOT IN (SELECT enterprise, point FROM near)
            )
            AND position < {position:UInt64}
            AND read_at < (SELECT fromUnixTimestamp64Milli(max(from_ms)) FROM wanted)
            AND read_at < fromUnixTimestamp64Milli(w.from_ms)
        GROUP BY enterprise, point
    ),
    known AS (SELECT * FROM reading FINAL UNION ALL SELECT * FROM reading_superseded FINAL)
SELECT enterprise, point, toUnixTimestamp64Milli(read_at) AS read_at_ms, origin, ticks, quality, reason,
    toInt64(toUnixTimestamp(received_at)) AS received_at_s, sequence, position, sent, sent_unit, sent_decimals
FROM (
    SELECT k.* FROM known AS k INNER JOIN wanted AS w USING (enterprise, point)
    WHERE (enterprise, point) IN (SELECT enterprise, point FROM wanted)
        AND read_at >= (SELECT fromUnixTimestamp64Milli(min(from_ms)) FROM wanted)
        AND read_at >= fromUnixTimestamp64Milli(w.from_ms)
    UNION ALL
    SELECT * FROM known
    WHERE (enterprise, point, read_at) IN (
        SELECT enterprise, point, start FROM near UNION ALL SELECT enterprise, point, start FROM far
    )
)
WHERE {scope} AND position < {position:UInt64}
