-- Which fields broke the contract, how often, in how many lots, and the text of the first such row.
SELECT
    coalesce(field, '(the whole row)') AS field,
    count(*) AS rows,
    count(DISTINCT lote) AS lots,
    left((array_agg(original ORDER BY lote, linha))[1], 60) AS first_original
FROM compras_rejeitadas
LEFT JOIN unnest(fields) AS field ON true
GROUP BY field
ORDER BY rows DESC, field
