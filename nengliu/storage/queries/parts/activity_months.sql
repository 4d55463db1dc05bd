-- Figures of months as told; of a month told day by day and whole, the sum of its days (of staff the mean).
SELECT enterprise, a.measure AS measure, toDate(concat(substring(a.period, 1, 7), '-01')) AS month,
    countIf(length(a.period) = 7) AS monthly, arraySort(groupArrayIf(a.value, length(a.period) = 10)) AS days,
    if(monthly > 0, anyIf(a.value, length(a.period) = 7),
        arraySum(days) / if(a.measure = 'staff', length(days), 1)) AS value
FROM {newest(activity: {scope})} AS a
WHERE isFinite(a.value) AND length(a.period) IN (7, 10)
GROUP BY enterprise, measure, month
HAVING monthly > 0 OR length(days) = toDayOfMonth(toLastDayOfMonth(month))
