-- How were these enterprises last described before a position of the log?  (for flows)
-- parameters: enterprises texts, position integer
-- columns: enterprise, position, name, name_en, region, industry, simulated
SELECT enterprise, position, name, name_en, region, industry, simulated
FROM enterprise FINAL
WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted) AND position < {position:UInt64}
ORDER BY enterprise, position DESC
LIMIT 1 BY enterprise
