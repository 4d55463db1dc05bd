-- Which enterprises are there, how many points have they, and how fresh is what they send?
-- parameters:
-- columns: enterprise, name, name_en, region, industry, simulated, first_at, last_at, points
-- present: it tells how fresh data are now; completeness and intake can be asked as of a day
SELECT enterprise, e.name AS name, e.name_en AS name_en, e.region AS region, e.industry AS industry,
    e.simulated AS simulated, r.first_at AS first_at, r.last_at AS last_at, p.points AS points
FROM {newest(enterprise: {scope})} AS e
LEFT JOIN (
    SELECT enterprise, toNullable(min(first_read_at)) AS first_at, toNullable(max(last_read_at)) AS last_at
    FROM point_newest WHERE {scope} GROUP BY enterprise
) AS r USING (enterprise)
LEFT JOIN (SELECT enterprise, uniqExact(point) AS points FROM point WHERE {scope} GROUP BY enterprise) AS p
USING (enterprise)
ORDER BY enterprise
