-- Which files were imported, and what became of their rows?  Newest first.
-- parameters: enterprise text
-- columns: enterprise, digest, position, sequence_base, file, started_at, rows, readings, repaired, rejected
SELECT enterprise, digest, position, sequence_base, file,
    toDateTime64(i.started_at, 3, 'Asia/Shanghai') AS started_at, rows, readings, repaired, rejected
FROM {newest(import_run: {scope})} AS i
WHERE ({enterprise:String} = '' OR enterprise = {enterprise:String})
ORDER BY i.started_at DESC, position DESC
