SELECT enterprise, region, industry,
        multiIf({by:String} = 'region', rightPad(substring(region, 1, {digits:UInt64}), 6, '0'),
            {by:String} = 'industry', extract(industry, '^[A-Z]?[0-9]{2}'),
            {by:String} = 'enterprise', enterprise, '') AS node
    FROM (
        SELECT enterprise, region, industry FROM enterprise FINAL WHERE {scope}
        ORDER BY enterprise, position DESC LIMIT 1 BY enterprise
    )
    WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
