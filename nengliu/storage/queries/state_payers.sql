-- Which points are paid by a tariff, each as it was last described?  (for the cost of days)
-- parameters: enterprise text = ''
-- columns: enterprise, point, position, definition
-- present: a command works on what is stored now
SELECT enterprise, point, position, definition
FROM {newest(point: {scope} AND ({enterprise:String} = '' OR enterprise = {enterprise:String}))}
WHERE JSONLength(definition, 'tariffs') > 0
ORDER BY enterprise, point
