-- How do the collectors, their lines and meters stand, since when and why?  What does not work comes first.
-- parameters: enterprise text = '', now instant = 0, silent_s integer = 180
-- columns: enterprise, source, line, meter, state, since, reason, parameters, last_at, queued
-- present: it tells how links stand now, `now` sets the clock back; link_events can be asked as of a day
-- now: 0 for the current time; what was said later does not count.  A collector (no line, no meter) is up, down (it was
-- stopped) or silent (not heard for silent_s; nobody knows why).  A line is up or down; a meter is up, down, refuses, or
-- its answers are damaged.  Below a collector that is not up, or a line that is down, nothing is known: unknown, since
-- the parent changed.  queued: rows that waited for the log at the last heartbeat.
WITH
    if({now:Int64} = 0, now64(3), fromUnixTimestamp64Milli({now:Int64})) AS asked_at,
    heard AS (
        SELECT enterprise, source, max(at) AS last_at, min(at) AS first_at, maxIf(sequence, kind = 3) AS pulse
        FROM link_event
        WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND at <= asked_at
        GROUP BY enterprise, source
    ),
    pulses AS (
        SELECT enterprise, source, any(JSONExtractString(parameters, 'queued')) AS queued FROM link_event
        WHERE {scope} AND kind = 3 AND (enterprise, source, sequence) IN (SELECT enterprise, source, pulse FROM heard)
        GROUP BY enterprise, source
    ),
    said AS (
        SELECT enterprise, source, line, meter, sequence, item, at, reason, parameters,
            multiIf(kind IN (2, 12, 22), 'down', kind = 23, 'refuses', kind IN (24, 30), 'damaged', 'up') AS state,
            state != lagInFrame(state, 1, '') OVER (PARTITION BY enterprise, source, line, meter
                ORDER BY sequence, item ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) OR kind = 1 AS changes
        FROM link_event FINAL
        WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND at <= asked_at
            AND kind IN (1, 2, 11, 12, 21, 22, 23, 24, 30)
    ),
    stands AS (
        SELECT enterprise, source, line, meter, argMax(state, (sequence, item)) AS state,
            argMaxIf(at, (sequence, item), changes) AS since, argMax(reason, (sequence, item)) AS reason,
            argMax(parameters, (sequence, item)) AS parameters, max(at) AS last_at
        FROM said GROUP BY enterprise, source, line, meter
    ),
    below AS (
        SELECT enterprise, source,
            groupArray((line, meter, state, since, toUInt16(reason), parameters, last_at)) AS links
        FROM stands WHERE line != '' OR meter != '' GROUP BY enterprise, source
    ),
    collectors AS (
        SELECT h.enterprise AS enterprise, h.source AS source, h.last_at AS last_at, p.queued AS queued, b.links AS links,
            multiIf(s.state = 'down', 'down', dateDiff('second', h.last_at, asked_at) > {silent_s:UInt64}, 'silent', 'up')
                AS state,
            multiIf(state = 'silent', h.last_at, s.state = '', h.first_at, s.since) AS since,
            toUInt16(if(state = 'down', 503, 0)) AS reason
        FROM heard AS h
        LEFT JOIN (SELECT * FROM stands WHERE line = '' AND meter = '') AS s USING (enterprise, source)
        LEFT JOIN pulses AS p USING (enterprise, source)
        LEFT JOIN below AS b USING (enterprise, source)
    ),
    each AS (
        SELECT enterprise, source, state AS above, since AS above_since, reason AS above_reason, queued,
            arrayJoin(arrayPushFront(links, ('', '', state, since, reason, '{}', last_at))) AS link,
            link.1 AS line, link.2 AS meter,
            arrayFirst(l -> l.1 = line AND l.2 = '' AND meter != '' AND l.3 = 'down', links) AS cut
        FROM collectors
    )
SELECT enterprise, source, line, meter,
    multiIf(line = '' AND meter = '', above, above != 'up' OR cut.3 = 'down', 'unknown', link.3) AS state,
    multiIf(above != 'up', above_since, cut.3 = 'down', cut.4, link.4) AS since,
    {name(reason, shown)} AS reason, if(state = 'unknown', if(above = 'up', cut.6, '{}'), link.6) AS parameters,
    link.7 AS last_at, if(line = '' AND meter = '', toUInt64OrNull(queued), NULL) AS queued
FROM (SELECT *, multiIf(above != 'up', above_reason, cut.3 = 'down', cut.5, link.3 = 'up', 0, link.5) AS shown FROM each)
ORDER BY state = 'up', state = 'unknown', enterprise, source, line, meter
