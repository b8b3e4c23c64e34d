-- Revenue and average purchase by day of the week.
SELECT
    to_char(day, 'FMDay') AS weekday,
    sum(purchases) AS purchases,
    sum(revenue) AS revenue,
    round(sum(revenue) / sum(purchases), 2) AS average_purchase
FROM revenue_by_day
GROUP BY extract(isodow FROM day), weekday
ORDER BY extract(isodow FROM day)
