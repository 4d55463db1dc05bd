-- Which messages waited for their column list, as of a position of the log?  (for flows)
-- parameters: partition integer, position integer
-- columns: enterprise, partition, position, parameters, payload
-- Item 4294967295 holds a message that waits (nengliu.analysis.intake.waiting); one that was released later waited then.
SELECT enterprise, partition, position, parameters, payload
FROM quarantine FINAL
WHERE {scope} AND partition = {partition:UInt32} AND item = 4294967295 AND position < {position:UInt64}
    AND (NOT JSONHas(parameters, 'released') OR toUInt64(JSONExtractString(parameters, 'released')) >= {position:UInt64})
ORDER BY position
