-- Which book of tariffs is in force in each partition of the log?  (for the cost of days)
-- parameters:
-- columns: partition, position, digest, definition, known_at_s
-- present: a command works on what is stored now
-- A book belongs to no enterprise, so only readers without a limit get it this way.
SELECT partition, position, digest, definition, toInt64(toUnixTimestamp(known_at)) AS known_at_s
FROM (SELECT *, '' AS enterprise FROM {newest(tariff: true)})
WHERE {scope}
ORDER BY partition
