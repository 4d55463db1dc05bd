-- Which column lists had these enterprises declared before a position of the log?  Oldest first.  (for flows)
-- parameters: enterprises texts, position integer
-- columns: enterprise, schema, position, definition
SELECT enterprise, schema, position, definition
FROM frame_schema FINAL
WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted) AND position < {position:UInt64}
ORDER BY enterprise, schema, position
