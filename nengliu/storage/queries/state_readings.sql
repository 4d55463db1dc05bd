-- What had these points said from an instant on, at a position of the log?  (for flows)
-- present: a flow asks by position
-- parameters: points points, from_ms instants, position integer
-- columns: enterprise, point, read_at_ms, origin, ticks, quality, reason, received_at_s, sequence, position,
--   sent, sent_unit, sent_decimals
-- The instant is one for all points, or one each; the rows come in no order.  Values that lost are included,
-- since at an earlier position they may have stood.
WITH (SELECT toStartOfHour(fromUnixTimestamp64Milli(min(from_ms), 'Asia/Shanghai')) FROM wanted) AS first_at
SELECT enterprise, point, toUnixTimestamp64Milli(read_at) AS read_at_ms, origin, ticks, quality, reason,
    toInt64(toUnixTimestamp(received_at)) AS received_at_s, sequence, position, sent, sent_unit, sent_decimals
FROM (
    SELECT enterprise, point, period_start, read_at, origin, ticks, quality, reason, received_at, sequence, position,
        sent, sent_unit, sent_decimals
    FROM reading
    UNION ALL
    SELECT enterprise, point, toStartOfHour(read_at) AS period_start, read_at, origin, ticks, quality, reason,
        received_at, sequence, position, sent, sent_unit, sent_decimals
    FROM reading_superseded FINAL
) AS r INNER JOIN wanted AS w USING (enterprise, point)
WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted) AND position < {position:UInt64}
    AND period_start >= first_at AND read_at >= fromUnixTimestamp64Milli(w.from_ms)
