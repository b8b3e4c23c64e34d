-- Revenue by payment type and year, with its percentage of the year. Reads every purchase.
WITH paid AS (
    SELECT extract(year FROM date_purchase)::int AS year, payment_type, sum(price) AS revenue
    FROM tabela_compras
    GROUP BY year, payment_type
)
SELECT year, payment_type, revenue, round(100 * revenue / sum(revenue) OVER (PARTITION BY year), 1) AS percent_of_year
FROM paid
ORDER BY year, revenue DESC
