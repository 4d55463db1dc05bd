-- Which incidents stand in the queue, the gravest and oldest first, and how many are there in all?
-- parameters: incident text = '', enterprise text = '', region text = '', industry text = '', class text = '',
--   state text = 'open', cause integer = 0, text text = '', newest integer = 0, now instant = 0, offset integer = 0, limit integer = 50
-- columns: incident, enterprise, name, name_en, region, industry, simulated, class, cause, severity, state, shelved,
--   shelved_until, shelve_reason, root, source, line, meter, point, point_name, point_name_en,
--   members, opened_at,
--   raised_at, cleared_at, updated_at, acknowledged_at, acknowledged_by, closed_at, closed_by, comment, evidence,
--   count, revision, total
-- region, industry: prefixes.  state: open (neither closed nor shelved), shelved, all, or a state; a shelved one stands in
-- no other list than shelved and all.  point_name: of its point, or of the only one that is folded under it.  newest: 1 for the newest first.  now: 0 for the current time.  total: all rows.
WITH
    if({now:Int64} = 0, now64(3), fromUnixTimestamp64Milli({now:Int64})) AS asked_at,
    units AS ({part(narrowed)}),
    named AS (
        SELECT enterprise, point, argMax(name, position) AS point_name, argMax(name_en, position) AS point_name_en
        FROM point WHERE {scope} GROUP BY enterprise, point
    ),
    known AS (
        SELECT *, state != 'closed' AND shelved_until > asked_at AS shelved,
            if(point = '' AND length(members) = 1, members[1], point) AS meant
        FROM {newest(incident:
            {scope} AND ({incident:String} = '' OR incident = {incident:String})
                AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
        )}
        WHERE ({class:String} = '' OR class = {class:String})
            AND ({cause:UInt64} = 0 OR cause = {cause:UInt64})
    )
SELECT i.incident AS incident, i.enterprise AS enterprise, u.name AS name, u.name_en AS name_en, u.region AS region,
    u.industry AS industry, u.simulated AS simulated, i.class AS class, i.cause AS cause, i.severity AS severity,
    i.state AS state, i.shelved AS shelved,
    if(i.shelved_until = 0, NULL, toDateTime64(i.shelved_until, 3, 'Asia/Shanghai')) AS shelved_until,
    i.shelve_reason AS shelve_reason, i.root AS root, i.source AS source, i.line AS line, i.meter AS meter,
    i.point AS point, p.point_name AS point_name, p.point_name_en AS point_name_en, i.members AS members,
    i.opened_at AS opened_at, toDateTime64(i.raised_at, 3, 'Asia/Shanghai') AS raised_at,
    if(toUnixTimestamp(i.cleared_at) = 0, NULL, i.cleared_at) AS cleared_at,
    toDateTime64(i.updated_at, 3, 'Asia/Shanghai') AS updated_at,
    if(i.acknowledged_at = 0, NULL, toDateTime64(i.acknowledged_at, 3, 'Asia/Shanghai')) AS acknowledged_at,
    i.acknowledged_by AS acknowledged_by,
    if(i.closed_at = 0, NULL, toDateTime64(i.closed_at, 3, 'Asia/Shanghai')) AS closed_at,
    i.closed_by AS closed_by, i.comment AS comment, i.evidence AS evidence, i.count AS count,
    i.revision AS revision, count() OVER () AS total
FROM known AS i
INNER JOIN units AS u USING (enterprise)
LEFT JOIN named AS p ON i.enterprise = p.enterprise AND i.meant = p.point
WHERE multiIf({state:String} = 'all', true, {state:String} = 'open', i.state != 'closed' AND NOT i.shelved,
        {state:String} = 'shelved', i.shelved, i.state = {state:String} AND NOT i.shelved)
    AND ({text:String} = '' OR arrayExists(
        word -> positionCaseInsensitiveUTF8(word, {text:String}) > 0,
        [u.name, u.name_en, i.enterprise, i.incident, i.source, i.line, i.meter, i.point, p.point_name, p.point_name_en]
    ))
ORDER BY if({newest:UInt8} = 1, 0, i.severity), if({newest:UInt8} = 1, -1, 1) * toInt64(i.opened_at), i.incident
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
