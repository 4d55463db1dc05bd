-- Of which enterprises had the log told anything before a position?  (for flows)
-- parameters: position integer
-- columns: enterprise
SELECT DISTINCT enterprise
FROM (
    SELECT enterprise, position FROM enterprise WHERE {scope}
    UNION ALL SELECT enterprise, position FROM point WHERE {scope}
    UNION ALL SELECT enterprise, position FROM frame_schema WHERE {scope}
    UNION ALL SELECT enterprise, position FROM wiring WHERE {scope}
)
WHERE position < {position:UInt64}
ORDER BY enterprise
