-- What happened to an incident, and who did it?  Oldest first.
-- parameters: enterprise text = '', incident text
-- columns: enterprise, incident, position, item, at, what, by, cause, parameters
SELECT enterprise, incident, position, item, at, what, by, cause, parameters
FROM incident_event FINAL
WHERE {scope} AND {known(at)} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND incident = {incident:String}
ORDER BY enterprise, position, item
