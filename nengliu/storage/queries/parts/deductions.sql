SELECT f['item'] AS of_item, f['basis'] AS of_use, toFloat64OrZero(f['value']) AS share,
        toDateTime(f['valid_from'], 'Asia/Shanghai') AS from_at,
        if(f['valid_to'] = '', toDateTime('2100-01-01 00:00:00', 'Asia/Shanghai'), toDateTime(f['valid_to'], 'Asia/Shanghai')) AS to_at
    FROM (
        SELECT arrayJoin(JSONExtract(definition, 'factors', 'Array(Map(String, String))')) AS f
        FROM (SELECT * FROM {newest(book: true)} ORDER BY known_at DESC, position DESC, partition LIMIT 1)
    )
    WHERE f['factor'] = 'deductible'
