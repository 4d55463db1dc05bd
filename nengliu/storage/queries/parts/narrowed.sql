SELECT enterprise, name, name_en, region, industry, simulated
    FROM (
        SELECT * FROM enterprise FINAL WHERE {scope} ORDER BY enterprise, position DESC LIMIT 1 BY enterprise
    )
    WHERE startsWith(region, {region:String}) AND startsWith(industry, {industry:String})
