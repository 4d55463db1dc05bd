-- Which values were entered by hand in a span, by whom, when and why, and what became of them?  Newest first.
-- present: it tells what has become of an entry by now; readings can be asked as of a day
-- parameters: enterprise text = '', point text = '', start instant, end instant, limit integer = 1000
-- columns: enterprise, point, name, name_en, read_at, value, unit, decimals, by, at, why, state, reason, parameters,
--   automatic, automatic_unit, automatic_decimals
-- start and end: of when they were entered.  state: counts; beside (an automatic value of that instant counts, and is told);
-- corrected (a later entry replaced it); refused (reason and its parameters say why); waiting (not taken in yet).
WITH
    entered AS (
        SELECT enterprise, point, read_at, m.position AS number, m.item AS row, sent, sent_unit, sent_decimals, m.by AS who,
            m.at AS acted_at, why
        FROM {newest(manual_entry: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String})
            AND ({point:String} = '' OR point = {point:String}))} AS m
    ),
    held AS (
        SELECT enterprise, position AS number, item AS row, any(reason) AS code, any(parameters) AS told FROM quarantine FINAL
        WHERE {scope} AND (enterprise, position, item) IN (SELECT enterprise, number, row FROM entered)
        GROUP BY enterprise, number, row
    ),
    judged AS (
        SELECT e.*, h.code AS code, h.told AS told,
            max(if(h.code = 0, e.number, 0)) OVER (PARTITION BY e.enterprise, e.point, e.read_at) > e.number AS corrected
        FROM entered AS e LEFT JOIN held AS h ON h.enterprise = e.enterprise AND h.number = e.number AND h.row = e.row
    ),
    said AS (
        SELECT enterprise, point, read_at, countIf(origin = 3) AS manual, countIf(origin != 3) AS others,
            argMinIf((sent / intExp10(sent_decimals), toString(sent_unit), sent_decimals), {part(rank)}, origin != 3) AS first
        FROM {readings(
            {scope} AND (enterprise, point, period_start) IN (SELECT enterprise, point, toStartOfHour(read_at) FROM entered)
        )}
        WHERE (enterprise, point, read_at) IN (SELECT enterprise, point, read_at FROM entered)
        GROUP BY enterprise, point, read_at
    )
SELECT j.enterprise AS enterprise, j.point AS point, p.name AS name, p.name_en AS name_en, j.read_at AS read_at,
    j.sent / intExp10(j.sent_decimals) AS value, j.sent_unit AS unit, j.sent_decimals AS decimals, j.who AS by,
    toDateTime64(j.acted_at, 3, 'Asia/Shanghai') AS at, why,
    multiIf(j.code != 0, 'refused', j.corrected, 'corrected', s.manual = 0, 'waiting', s.others > 0, 'beside', 'counts') AS state,
    if(j.code = 0, '', {name(reason, j.code)}) AS reason, j.told AS parameters,
    if(s.others > 0, s.first.1, NULL) AS automatic, s.first.2 AS automatic_unit, s.first.3 AS automatic_decimals
FROM judged AS j
LEFT JOIN said AS s ON s.enterprise = j.enterprise AND s.point = j.point AND s.read_at = j.read_at
LEFT JOIN {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p
    ON p.enterprise = j.enterprise AND p.point = j.point
WHERE j.acted_at >= fromUnixTimestamp64Milli({start:Int64}) AND j.acted_at < fromUnixTimestamp64Milli({end:Int64})
ORDER BY j.acted_at DESC, j.number DESC, j.row
LIMIT {limit:UInt64}
