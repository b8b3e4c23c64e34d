-- The product with the highest revenue in each state. Reads every purchase.
SELECT DISTINCT ON (state) state, product, brand, count(*) AS purchases, sum(price) AS revenue
FROM tabela_compras
GROUP BY state, product, brand
ORDER BY state, revenue DESC
