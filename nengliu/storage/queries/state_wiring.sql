-- How were the collectors of these enterprises last wired before a position of the log?  (for flows)
-- parameters: enterprises texts, position integer
-- columns: enterprise, source, position, definition
SELECT enterprise, source, position, definition
FROM wiring FINAL
WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted) AND position < {position:UInt64}
ORDER BY enterprise, source, position DESC
LIMIT 1 BY enterprise, source
