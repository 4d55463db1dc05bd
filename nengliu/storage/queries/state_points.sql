-- How were the points of these enterprises described before a position of the log?  (for flows)
-- Version by version, the oldest first.
-- parameters: enterprises texts, position integer
-- columns: enterprise, point, position, definition
SELECT enterprise, point, position, definition
FROM point FINAL
WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted) AND position < {position:UInt64}
ORDER BY enterprise, point, position
