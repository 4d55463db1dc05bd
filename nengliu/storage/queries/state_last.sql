-- When had these points spoken last before an instant, at a position of the log?  (for flows)
-- present: a flow asks by position
-- parameters: points points, before_ms instants, position integer, lookback_ms integer = 0
-- columns: enterprise, point, read_at_ms
-- The instant is one for all points, or one each (`from_ms` of wanted).  Values that lost are looked at too, since at an earlier position
-- they may have stood.  lookback_ms: so far back from the earliest instant; 0: without an end.
WITH
    (SELECT fromUnixTimestamp64Milli(min(from_ms), 'Asia/Shanghai') FROM wanted) AS first_at,
    (SELECT fromUnixTimestamp64Milli(max(from_ms), 'Asia/Shanghai') FROM wanted) AS last_at
SELECT enterprise, point, max(toUnixTimestamp64Milli(read_at)) AS read_at_ms
FROM (
    SELECT enterprise, point, period_start, read_at, position FROM reading
    UNION ALL
    SELECT enterprise, point, toStartOfHour(read_at) AS period_start, read_at, position FROM reading_superseded
) AS r INNER JOIN wanted AS w USING (enterprise, point)
WHERE {scope} AND (enterprise, point) IN (SELECT enterprise, point FROM wanted) AND position < {position:UInt64}
    AND ({lookback_ms:UInt64} = 0 OR period_start >= toStartOfHour(first_at - toIntervalMillisecond({lookback_ms:UInt64})))
    AND period_start <= last_at AND read_at < fromUnixTimestamp64Milli(w.from_ms)
GROUP BY enterprise, point
