-- Which book of factors was in force in a partition before a position of its log?  (for flows)
-- parameters: partition integer, position integer
-- columns: position, digest, definition
-- A book belongs to no enterprise, so only readers without a limit get it this way.
SELECT position, digest, definition
FROM (SELECT *, '' AS enterprise FROM book FINAL)
WHERE {scope} AND partition = {partition:UInt32} AND position < {position:UInt64}
ORDER BY position DESC
LIMIT 1
