-- When did each point of an enterprise ('' for all) last say something?  NULL: never.
-- parameters: enterprise text
-- columns: enterprise, point, name, name_en, last_read_at, last_received_at
-- present: it tells how fresh data are now; completeness and intake can be asked as of a day
SELECT enterprise, point, p.name AS name, p.name_en AS name_en,
    r.last_read_at AS last_read_at, r.last_received_at AS last_received_at
FROM {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p
LEFT JOIN (
    SELECT enterprise, point, toNullable(max(n.last_read_at)) AS last_read_at,
        toNullable(toDateTime64(max(n.last_received_at), 3, 'Asia/Shanghai')) AS last_received_at
    FROM point_newest AS n
    WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
    GROUP BY enterprise, point
) AS r USING (enterprise, point)
ORDER BY enterprise, point
