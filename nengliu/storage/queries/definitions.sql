-- Which points has an enterprise ('' for all), each with its whole definition?
-- parameters: enterprise text
-- columns: enterprise, point, definition
SELECT enterprise, point, definition
FROM {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))}
ORDER BY enterprise, point
