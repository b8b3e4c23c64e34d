-- Which fields failed validation, how often, in how many batches, with the first row's text.
SELECT
    coalesce(field, '(the whole row)') AS field,
    count(*) AS rows,
    count(DISTINCT lote) AS lots,
    left((array_agg(original ORDER BY lote, linha))[1], 60) AS first_original
FROM compras_rejeitadas
LEFT JOIN unnest(fields) AS field ON true
GROUP BY field
ORDER BY rows DESC, field
