-- Revenue by month, its change from the previous month, and the running total.
SELECT
    month,
    sum(purchases) AS purchases,
    sum(revenue) AS revenue,
    round(100 * (sum(revenue) / lag(sum(revenue)) OVER months - 1), 1) AS change_percent,
    sum(sum(revenue)) OVER months AS running_total
FROM revenue_by_month_and_category
GROUP BY month
WINDOW months AS (ORDER BY month)
ORDER BY month
