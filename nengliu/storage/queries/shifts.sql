-- How much did each point use in each shift, and how far can that be trusted?
-- parameters: calendar shifts = 'four_crews_8h', enterprise text, point text = '', start instant, end instant
-- columns: enterprise, point, item, unit, day, shift, crew, used, estimated, mean, covered_s, received, due
-- level: 15min
-- calendar: a name of schemas/books/shifts.csv.  day: the China civil day on which the shift began.  What is used while
-- nobody works has neither shift nor crew.  A shift that the span cuts counts with the part inside.
SELECT w.enterprise AS enterprise, w.point AS point, p.item AS item, p.unit AS unit,
    if(w.at < s.to_s, toDate32(s.day), toDate32(toDate(w.period_start))) AS day,
    if(w.at < s.to_s, s.shift, '') AS shift, if(w.at < s.to_s, s.crew, '') AS crew,
    sum(w.used / intExp10(w.decimals)) AS used, sum(w.estimated / intExp10(w.decimals)) AS estimated,
    sumIf(w.mean * w.covered_s, isFinite(w.mean)) / nullIf(sumIf(w.covered_s, isFinite(w.mean)), 0) AS mean,
    sum(w.covered_s) AS covered_s, sum(w.received) AS received, sum(w.due) AS due
FROM (
    SELECT *, 1 AS one, toInt64(toUnixTimestamp(period_start)) AS at FROM {windows(
        {part(asked_enterprise)}
        AND ({point:String} = '' OR point = {point:String})
    )}
) AS w
ASOF LEFT JOIN wanted AS s ON w.one = s.one AND w.at >= s.from_s
LEFT JOIN {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p
    ON p.enterprise = w.enterprise AND p.point = w.point
GROUP BY enterprise, point, item, unit, day, shift, crew
ORDER BY enterprise, point, day, min(w.at)
