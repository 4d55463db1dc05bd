-- Of which enterprises does the audit look at how many points?  (for the audit)
-- present: an audit compares what is stored now
-- parameters: enterprise text = ''
-- columns: enterprise, points
SELECT enterprise, toUInt32(uniqExact(point)) AS points
FROM point
WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
GROUP BY enterprise
ORDER BY enterprise
