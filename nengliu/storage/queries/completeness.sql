-- How complete is each point's day, of what quality, and how much of it is estimated?
-- parameters: enterprise text, start instant, end instant
-- level: day
-- columns: enterprise, point, period_start, received, due, good, late, substituted, manual, suspect, bad,
--   estimated_share
-- estimated_share: estimated part of the consumption, 0 to 1; NULL where nothing was consumed.
SELECT enterprise, point, toDateTime64(w.period_start, 3, 'Asia/Shanghai') AS period_start,
    received, due, good, late, substituted, manual, suspect, bad,
    if(used = 0, NULL, estimated / used) AS estimated_share
FROM {windows(
    {part(asked_enterprise)}
)} AS w
ORDER BY enterprise, point, w.period_start
