-- How many incidents were raised in each ten minutes before now?
-- parameters: enterprise text = '', region text = '', industry text = '', now instant = 0, hours integer = 24
-- columns: back, count
-- back: 0 for the ten minutes that end now, 1 for those before, and so on; ten minutes without any have no row.
WITH
    if({now:Int64} = 0, now64(3), fromUnixTimestamp64Milli({now:Int64})) AS asked_at,
    units AS ({part(narrowed)})
SELECT intDiv(dateDiff('second', raised_at, asked_at), 600) AS back, count() AS count
FROM {newest(incident: {scope})}
WHERE ({enterprise:String} = '' OR enterprise = {enterprise:String})
    AND raised_at > asked_at - 3600 * {hours:UInt64} AND raised_at <= asked_at
    AND enterprise IN (SELECT enterprise FROM units)
GROUP BY back
ORDER BY back
