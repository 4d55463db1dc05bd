SELECT enterprise, region, industry,
        multiIf({by:String} = 'region', rightPad(substring(region, 1, {digits:UInt64}), 6, '0'),
            {by:String} = 'industry', extract(industry, '^[A-Z]?[0-9]{2}'),
            {by:String} = 'enterprise', enterprise, '') AS node
    FROM {newest(enterprise: {scope})}
    WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
