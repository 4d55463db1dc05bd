SELECT enterprise, name, name_en, region, industry, simulated
    FROM {newest(enterprise: {scope})}
    WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
