-- Which causes, enterprises, collectors and cities made most of the incidents of a span?
-- parameters: enterprise text = '', region text = '', industry text = '', start instant, end instant,
--   limit integer = 10
-- columns: what, code, name, name_en, count, total
-- what: cause, enterprise, collector (code: enterprise / collector) or city (code: the region's).  By the time at which an
-- incident was raised.  total: all incidents of the span.
WITH
    units AS ({part(narrowed)}),
    raised AS (
        SELECT i.*, u.name AS name, u.name_en AS name_en, u.region AS region,
            count() OVER () AS total
        FROM {newest(incident: {scope})} AS i
        INNER JOIN units AS u USING (enterprise)
        WHERE ({enterprise:String} = '' OR enterprise = {enterprise:String})
            AND raised_at >= fromUnixTimestamp64Milli({start:Int64})
            AND raised_at < fromUnixTimestamp64Milli({end:Int64})
    )
SELECT each.1 AS what, each.2 AS code, any(each.3) AS name, any(each.4) AS name_en, count() AS count,
    any(total) AS total
FROM (
    SELECT arrayJoin([
        ('cause', toString(cause), '', ''), ('enterprise', enterprise, name, name_en), ('city', region, '', ''),
        ('collector', if(source = '', '', concat(enterprise, ' / ', source)), name, name_en)
    ]) AS each, total
    FROM raised
)
WHERE code != ''
GROUP BY what, code
ORDER BY what, count DESC, code
LIMIT {limit:UInt64} BY what
