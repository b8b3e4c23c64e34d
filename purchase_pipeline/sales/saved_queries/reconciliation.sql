-- Whether received = loaded + rejected for each batch, counted in the tables; pruned rows by the ledger.
SELECT
    ledger.partition AS lote,
    ledger.source_rows AS received,
    counted.loaded,
    counted.rejected,
    ledger.source_rows = counted.loaded + counted.rejected AS balanced
FROM slice_ledger AS ledger
LEFT JOIN slice_ledger AS rejects ON rejects.asset = 'compras_rejeitadas' AND rejects.partition = ledger.partition
CROSS JOIN LATERAL (
    SELECT
        (SELECT count(*) FROM tabela_compras WHERE lote = ledger.partition) AS loaded,
        CASE WHEN to_jsonb(rejects) ->> 'pruned_at' IS NOT NULL THEN rejects.rows
            ELSE (SELECT count(*) FROM compras_rejeitadas WHERE lote = ledger.partition) END AS rejected
) AS counted
WHERE ledger.asset = 'tabela_compras'
ORDER BY lote
