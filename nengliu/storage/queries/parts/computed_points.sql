SELECT enterprise, point, argMax(kind, position) = 'gauge' AND formulas > 1 AS turns,
            JSONLength(argMax(definition, position), 'formulas') AS formulas
        FROM point
        WHERE {scope} AND enterprise IN (SELECT enterprise FROM wanted)
        GROUP BY enterprise, point
        HAVING formulas > 0
