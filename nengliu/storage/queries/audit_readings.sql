-- What had these points said in a span, last before it and first after it?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: points points, from_ms instants, start instant, end instant
-- columns: enterprise, point, read_at_ms, origin, ticks, quality, reason, received_at_s, sequence, position
-- from_ms is not looked at.  All origins of an instant are said.
WITH
    {part(audited_readings)}
SELECT enterprise, point, toUnixTimestamp64Milli(read_at) AS read_at_ms, origin, ticks, quality, reason,
    toInt64(toUnixTimestamp(received_at)) AS received_at_s, sequence, position
FROM told
ORDER BY position, enterprise, point, read_at, origin
