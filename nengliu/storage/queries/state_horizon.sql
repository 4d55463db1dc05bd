-- Since when are raw readings kept in a partition, as its log had told before a position?  (for flows)
-- present: a flow asks by position
-- parameters: partition integer, position integer
-- columns: position, begins_ms, at_s
-- Retention belongs to no enterprise, so only readers without a limit get it this way.
SELECT position, toUnixTimestamp64Milli(begins_at) AS begins_ms, toInt64(toUnixTimestamp(known_at)) AS at_s
FROM (SELECT *, '' AS enterprise FROM horizon FINAL)
WHERE {scope} AND flow = 'ingest' AND partition = {partition:UInt32} AND position < {position:UInt64}
ORDER BY begins_at DESC
LIMIT 1
