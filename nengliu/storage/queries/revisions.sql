-- Why did a number change, when and by how much?  Newest first.
-- parameters: level level, enterprise text = '', point text = '', start instant, end instant, settled_s integer = 0,
--   limit integer = 1000
-- columns: enterprise, point, period_start, old, new, difference, unit, coal_difference_kgce, why, position, received_at, known_at
-- A row for each change that a later day of knowledge brought to a number that was known before: derived from the history and the
-- rows that stand.  A change of an hour, or of a period longer than a day, is what one position changed of its quarter-hours or
-- days; what became known for the first time is growth and no change.  old, new: the whole period before and after [unit].
-- settled_s: only what changed so many seconds after the last quarter-hour or day concerned was over.
-- why: codes with commas between.  late: a reading more than an hour old, or held back by a break; correction: another value for
-- a time that had one; factor: another factor of coal or CO2; meter: a change of meter was told; definition: a formula was;
-- on_time: readings as they are due, for a period that was still open; unknown: the readings have expired.
-- position: newest log position of the change.  received_at: newest receipt of a reading that came with it; NULL: there is none.
WITH
    fromUnixTimestamp64Milli({start:Int64}) AS from_at, fromUnixTimestamp64Milli({end:Int64}) AS to_at,
    stepped AS (
        SELECT enterprise, point, {period(period_start)} AS starts_at, period_start AS base_at, decimals, used, coal_kgce, book,
            revision, known_at, lagInFrame(v.revision, 1, 0) OVER steps AS revision_before, lagInFrame(v.used) OVER steps AS used_before,
            lagInFrame(v.coal_kgce) OVER steps AS coal_before, lagInFrame(v.book) OVER steps AS book_before
        FROM {versions(
            {part(asked_enterprise)} AND ({point:String} = '' OR point = {point:String})
        )} AS v
        WINDOW steps AS (PARTITION BY enterprise, point, period_start ORDER BY v.revision
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    events AS (
        SELECT enterprise, point, starts_at, s.revision AS position, any(decimals) AS decimals,
            sum(used - used_before) AS grown, sumIf(used - used_before, revision_before > 0) AS changed,
            sumIf(coal_kgce - coal_before, revision_before > 0 AND isFinite(coal_kgce) AND isFinite(coal_before)) AS coal_changed,
            countIf(revision_before > 0) AS known_before, minIf(revision_before, revision_before > 0) AS below,
            min(base_at) AS first_at, max(base_at) AS last_at, max(s.known_at) AS known_at,
            countIf(revision_before > 0 AND book != book_before
                AND abs(coal_kgce * used_before - coal_before * used) > 1e-9 * abs(coal_kgce * used_before)) > 0 AS by_factor
        FROM stepped AS s GROUP BY enterprise, point, starts_at, s.revision
    ),
    summed AS (
        SELECT *, sum(grown) OVER (PARTITION BY enterprise, point, starts_at ORDER BY position
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
        FROM events
    ),
    shown AS (
        SELECT * FROM summed WHERE known_before > 0 AND (changed != 0 OR coal_changed != 0)
            AND dateDiff('second', last_at, known_at)
                >= {settled_s:UInt64} + if({settled_s:UInt64} = 0, 0, if({level:String} IN ('15min', 'hour'), 900, 86400))
        ORDER BY position DESC, point, starts_at LIMIT {limit:UInt64}
    ),
    heard AS (
        SELECT enterprise, point, read_at, position AS at_position, received_at AS heard_at,
            quality = 1 OR reason IN (402, 408) OR dateDiff('second', read_at, received_at) > 3600 AS is_late,
            (enterprise, point, read_at, origin) IN (
                SELECT enterprise, point, read_at, origin FROM reading_superseded
                WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND ({point:String} = '' OR point = {point:String})
            ) AS is_other
        FROM {readings(
            {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND ({point:String} = '' OR point = {point:String})
            AND period_start >= fromUnixTimestamp64Milli({start:Int64}) - INTERVAL 35 DAY
            AND period_start < fromUnixTimestamp64Milli({end:Int64}) + INTERVAL 35 DAY
            AND (enterprise, point) IN (SELECT enterprise, point FROM shown)
        )}
    ),
    described AS (
        SELECT enterprise, point, position AS at_position,
            JSONExtractRaw(definition, 'meters') AS meters, JSONExtractRaw(definition, 'formulas') AS formulas,
            meters != lagInFrame(meters, 1, meters) OVER told AS is_meter,
            formulas != lagInFrame(formulas, 1, formulas) OVER told AS is_formula
        FROM point FINAL WHERE {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}) AND {known(known_at)}
        WINDOW told AS (PARTITION BY enterprise, point ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    because AS (
        SELECT s.enterprise AS enterprise, s.point AS point, s.starts_at AS starts_at, s.position AS position,
            max(h.heard_at) AS received_at, max(h.is_late) AS late, max(h.is_other) AS other, count() AS readings
        FROM shown AS s INNER JOIN heard AS h ON s.enterprise = h.enterprise AND s.point = h.point
        WHERE h.at_position > s.below AND h.at_position <= s.position
            AND (h.at_position = s.position
                OR h.read_at >= s.first_at - INTERVAL 1 HOUR AND h.read_at < s.last_at + INTERVAL 25 HOUR)
        GROUP BY enterprise, point, starts_at, position
    ),
    told AS (
        SELECT s.enterprise AS enterprise, s.point AS point, s.starts_at AS starts_at, s.position AS position,
            max(d.is_meter) AS meter, max(d.is_formula) AS formula
        FROM shown AS s INNER JOIN described AS d ON s.enterprise = d.enterprise AND s.point = d.point
        WHERE d.at_position > s.below AND d.at_position <= s.position
        GROUP BY enterprise, point, starts_at, position
    )
SELECT s.enterprise AS enterprise, s.point AS point, toDateTime64(s.starts_at, 3, 'Asia/Shanghai') AS period_start,
    (s.total - s.changed) / intExp10(s.decimals) AS old, s.total / intExp10(s.decimals) AS new,
    s.changed / intExp10(s.decimals) AS difference, p.unit AS unit, nullIf(s.coal_changed, 0) AS coal_difference_kgce,
    arrayStringConcat(if(empty(arrayFilter(code -> code != '', [
        if(b.late, 'late', ''), if(b.other, 'correction', ''), if(s.by_factor, 'factor', ''), if(t.meter, 'meter', ''),
        if(t.formula, 'definition', '')
    ]) AS causes), [if(b.readings > 0, 'on_time', 'unknown')], causes), ',') AS why,
    s.position AS position, if(b.readings > 0, toDateTime64(b.received_at, 3, 'Asia/Shanghai'), NULL) AS received_at,
    toDateTime64(s.known_at, 3, 'Asia/Shanghai') AS known_at
FROM shown AS s
LEFT JOIN because AS b ON b.enterprise = s.enterprise AND b.point = s.point AND b.starts_at = s.starts_at AND b.position = s.position
LEFT JOIN told AS t ON t.enterprise = s.enterprise AND t.point = s.point AND t.starts_at = s.starts_at AND t.position = s.position
LEFT JOIN {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))} AS p ON p.enterprise = s.enterprise AND p.point = s.point
ORDER BY position DESC, point, s.starts_at
