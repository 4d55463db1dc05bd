-- What came into each node of an enterprise, what its parts used of it, and what was lost between?
-- parameters: level level, enterprise text, item text = '', start instant, end instant
-- columns: enterprise, node, depth, item, unit, metered, parts, loss, loss_share, meters, meters_due, members, members_due,
--   known_at, revision
-- metered: the node's own meters, what crossed the enterprise's boundary below them, and what was made inside; NULL where
-- there is no such meter or none was heard.  parts: sum of what lies below, NULL likewise.  loss = metered - parts over the
-- periods in which both were heard; loss_share: of what was metered then.  meters, members: the fewest heard in a period.
WITH t.meters > 0 AND t.members > 0 AS both
SELECT enterprise, node, any(t.depth) AS depth, item, unit,
    if(max(t.meters) = 0, NULL, sum(t.metered / intExp10(t.decimals))) AS metered,
    if(max(t.members) = 0, NULL, sum(t.parts / intExp10(t.decimals))) AS parts,
    if(max(both), sumIf((t.metered - t.parts) / intExp10(t.decimals), both), NULL) AS loss,
    loss / nullIf(sumIf(t.metered / intExp10(t.decimals), both), 0) AS loss_share,
    min(t.meters) AS meters, max(t.meters_due) AS meters_due, min(t.members) AS members, max(t.members_due) AS members_due,
    toDateTime64(max(t.known_at), 3, 'Asia/Shanghai') AS known_at, max(t.revision) AS revision
FROM {totals(
    {part(asked_enterprise)}
    AND ({item:String} = '' OR item = {item:String})
)} AS t
GROUP BY enterprise, node, item, unit
HAVING max(t.meters_due) > 0 AND max(t.members_due) > 0
ORDER BY enterprise, item, unit, node
