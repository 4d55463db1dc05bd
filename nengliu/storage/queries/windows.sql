-- How much did each point use in each period (in its unit), and how far can that be trusted?
-- parameters: level level, enterprise text, point text = '', start instant, end instant, stamp stamp = 'start'
-- columns: enterprise, point, item, kind, unit, metering_level, period_start, used, estimated, mean, low,
--   high, last, covered_s, received, due, good, late, substituted, manual, suspect, bad, reason, coal_kgce,
--   coal_equal_kgce, co2_kg, known_at, revision
-- stamp: 'end' gives period_end in place of period_start.
SELECT enterprise, point, p.item AS item, p.kind AS kind, p.unit AS unit, p.metering_level AS metering_level,
    toDateTime64(w.period_start, 3, 'Asia/Shanghai') AS period_start,
    w.used / intExp10(w.decimals) AS used, w.estimated / intExp10(w.decimals) AS estimated,
    if(isNaN(w.mean), NULL, w.mean) AS mean, if(isNaN(w.low), NULL, w.low) AS low,
    if(isNaN(w.high), NULL, w.high) AS high, if(isNaN(w.last), NULL, w.last) AS last,
    w.covered_s AS covered_s, w.received AS received, w.due AS due, w.good AS good, w.late AS late,
    w.substituted AS substituted, w.manual AS manual, w.suspect AS suspect, w.bad AS bad, w.reason AS reason,
    if(isNaN(w.coal_kgce), NULL, w.coal_kgce) AS coal_kgce,
    if(isNaN(w.coal_equal_kgce), NULL, w.coal_equal_kgce) AS coal_equal_kgce,
    if(isNaN(w.co2_kg), NULL, w.co2_kg) AS co2_kg,
    toDateTime64(w.known_at, 3, 'Asia/Shanghai') AS known_at, w.revision AS revision
FROM {windows(
    {part(asked_enterprise)}
    AND ({point:String} = '' OR point = {point:String})
)} AS w
LEFT JOIN {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p USING (enterprise, point)
ORDER BY enterprise, point, w.period_start
