-- How does one incident stand?
-- parameters: enterprise text = '', incident text
-- columns: enterprise, name, name_en, region, industry, incident, class, cause, severity, state, shelved_until,
--   shelve_reason, root, source, line, meter, point, members, opened_at, raised_at, cleared_at, updated_at,
--   acknowledged_at, acknowledged_by, closed_at, closed_by, comment, evidence, count, revision
{part(incident)}
FROM {newest(incident:
    {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND incident = {incident:String}
)} AS i
LEFT JOIN {newest(enterprise: {scope})} AS e USING (enterprise)
ORDER BY enterprise
