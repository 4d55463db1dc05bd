-- Which incidents are there?  Those that are not closed first, the worst and newest of them on top.
-- parameters: enterprise text = '', region text = '', industry text = '', class text = '', state text = '',
--   cause integer = 0, limit integer = 1000
-- columns: enterprise, name, name_en, region, industry, incident, class, cause, severity, state, shelved_until,
--   shelve_reason, root, source, line, meter, point, members, opened_at, raised_at, cleared_at, updated_at,
--   acknowledged_at, acknowledged_by, closed_at, closed_by, comment, evidence, count, revision
-- region, industry: beginnings of the codes.  state: open for all that are not closed.  An instant that has not come is NULL.
{part(incident)}
FROM {newest(incident: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS i
LEFT JOIN {newest(enterprise: {scope})} AS e USING (enterprise)
WHERE startsWith(e.region, {region:String}) AND startsWith(e.industry, {industry:String})
    AND ({class:String} = '' OR class = {class:String})
    AND ({state:String} = '' OR state = {state:String} OR ({state:String} = 'open' AND state != 'closed'))
    AND ({cause:UInt64} = 0 OR cause = {cause:UInt64})
ORDER BY state = 'closed', severity, i.opened_at DESC, enterprise, incident
LIMIT {limit:UInt64}
