-- Whether received = loaded + rejected for each batch, counted in the tables.
SELECT
    ledger.partition AS lote,
    ledger.source_rows AS received,
    (SELECT count(*) FROM tabela_compras WHERE lote = ledger.partition) AS loaded,
    (SELECT count(*) FROM compras_rejeitadas WHERE lote = ledger.partition) AS rejected,
    ledger.source_rows
        = (SELECT count(*) FROM tabela_compras WHERE lote = ledger.partition)
        + (SELECT count(*) FROM compras_rejeitadas WHERE lote = ledger.partition) AS balanced
FROM slice_ledger AS ledger
WHERE ledger.asset = 'tabela_compras'
ORDER BY lote
