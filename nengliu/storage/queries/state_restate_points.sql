-- Which points of a partition of the log measure one of these items, and where are they?  (for restatements)
-- parameters: items texts, partition integer, partitions integer, position integer
-- columns: enterprise, point, item, region, stays
-- Not the computed points: they follow the points they are computed from.  wanted holds the items, in its one column.
-- present: bounded by its position
SELECT enterprise, point, item, e.region AS region, e.stays AS stays
FROM (
    SELECT enterprise, point, argMax(item, position) AS item, argMax(kind, position) AS kind,
        JSONLength(argMax(definition, position), 'formulas') AS formulas
    FROM point
    WHERE {scope} AND CRC32(enterprise) % {partitions:UInt64} = {partition:UInt64} AND position < {position:UInt64}
    GROUP BY enterprise, point
) AS p
LEFT JOIN (
    SELECT enterprise, argMax(region, position) AS region, argMax(stays, position) AS stays
    FROM enterprise
    WHERE {scope} AND position < {position:UInt64} GROUP BY enterprise
) AS e USING (enterprise)
WHERE kind != 'gauge' AND formulas = 0 AND item IN (SELECT enterprise FROM wanted)
ORDER BY enterprise, point
