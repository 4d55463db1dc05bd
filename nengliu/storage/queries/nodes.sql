-- What did each node of an enterprise use in a span, item by item, and how far can that be trusted?
-- parameters: level level, enterprise text, item text = '', start instant, end instant
-- columns: enterprise, node, depth, item, unit, used, coal_kgce, coal_equal_kgce, co2_kg, feedstock, renewable,
--   estimated_share, received, due, points, points_due, known_at, revision
-- node: path under the enterprise, '' for the enterprise itself (of which only what crossed its boundary counts).  A node
-- with one point below it in an item is that point: see `windows`.  used: NULL where nothing was heard.
-- coal: from the level day up; NULL where a part has no factor.  points: the fewest of a period that were heard.
SELECT enterprise, node, any(t.depth) AS depth, item, unit,
    if(max(t.points) = 0, NULL, sum(t.used / intExp10(t.decimals))) AS used,
    if(max(t.points) = 0 OR isNaN(sum(t.coal_kgce)), NULL, sum(t.coal_kgce)) AS coal_kgce,
    if(max(t.points) = 0 OR isNaN(sum(t.coal_equal_kgce)), NULL, sum(t.coal_equal_kgce)) AS coal_equal_kgce,
    if(max(t.points) = 0 OR isNaN(sum(t.co2_kg)), NULL, sum(t.co2_kg)) AS co2_kg,
    sum(t.feedstock / intExp10(t.decimals)) AS feedstock, sum(t.renewable / intExp10(t.decimals)) AS renewable,
    sum(t.estimated / intExp10(t.decimals)) / nullIf(sum(abs(t.used) / intExp10(t.decimals)), 0) AS estimated_share,
    sum(t.received) AS received, sum(t.due) AS due, min(t.points) AS points, max(t.points_due) AS points_due,
    toDateTime64(max(t.known_at), 3, 'Asia/Shanghai') AS known_at, max(t.revision) AS revision
FROM {totals(
    {part(asked_enterprise)}
    AND ({item:String} = '' OR item = {item:String})
)} AS t
GROUP BY enterprise, node, item, unit
ORDER BY enterprise, item, unit, node
