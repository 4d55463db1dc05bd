-- Which regions are there, what are they called, and where do they stand on the tile-grid map?
-- parameters:
-- columns: region, name, name_en, parent, row, column
SELECT region, name, name_en, parent, row, column
FROM {newest(region: {scope_region_rows})}
ORDER BY region
