SELECT enterprise, point, item, unit, e.region AS region, e.industry AS industry, use,
        if(use = 'out', -1, 1) AS sign
    FROM (
        SELECT *, JSONExtractString(definition, 'flow') AS use
        FROM {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))}
        WHERE metering_level = 1 AND kind != 'gauge' AND use != 'own'
    ) AS p
    INNER JOIN {newest(enterprise: {scope})} AS e USING (enterprise)
    WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
