-- How were these enterprises described before a position of the log?  (for flows)
-- Version by version, the oldest first.
-- parameters: enterprises texts, position integer
-- columns: enterprise, position, name, name_en, region, industry, simulated, stays
SELECT enterprise, position, name, name_en, region, industry, simulated, stays
FROM enterprise FINAL
WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted) AND position < {position:UInt64}
ORDER BY enterprise, position
