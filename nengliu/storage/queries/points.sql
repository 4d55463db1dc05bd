-- Which points has an enterprise ('' for all), each as it was last described?
-- parameters: enterprise text
-- columns: enterprise, point, name, name_en, kind, item, unit, decimals, interval_s, metering_level,
--   place, valid_from
SELECT enterprise, point, name, name_en, kind, item, unit, decimals, interval_s, metering_level, place,
    valid_from
FROM {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))}
ORDER BY enterprise, point
