SELECT enterprise, point, item, unit, region, industry, node, interval_s,
        greatest(valid_from, n.first_at) AS begins_at, n.first_at > fromUnixTimestamp64Milli(0) AS heard
    FROM {newest(point: {scope})} AS p
    INNER JOIN units USING (enterprise)
    LEFT JOIN (
        SELECT enterprise, min(first_read_at) AS first_at FROM point_newest WHERE {scope} GROUP BY enterprise
    ) AS n USING (enterprise)
    WHERE metering_level = 1 AND kind != 'gauge'
        AND ({items:String} = '' OR has(splitByChar(',', {items:String}), item))
