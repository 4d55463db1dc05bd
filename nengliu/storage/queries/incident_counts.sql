-- How many incidents are there of each class, cause and state, and how many stand longer than a day?
-- parameters: enterprise text = '', region text = '', industry text = '', now instant = 0
-- columns: class, cause, severity, state, count, stale
-- state: shelved stands for all that are shelved now.  stale: still on for more than 24 h.
WITH
    if({now:Int64} = 0, now64(3), fromUnixTimestamp64Milli({now:Int64})) AS asked_at,
    units AS ({part(narrowed)})
SELECT class, cause, severity, if(state != 'closed' AND shelved_until > asked_at, 'shelved', i.state) AS state,
    count() AS count,
    countIf(state IN ('active_unack', 'active_ack') AND opened_at < asked_at - INTERVAL 1 DAY) AS stale
FROM {newest(incident: {scope})} AS i
WHERE ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND enterprise IN (SELECT enterprise FROM units)
GROUP BY class, cause, severity, state
ORDER BY class, cause, severity, state
