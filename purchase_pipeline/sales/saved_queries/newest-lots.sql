-- The batches loaded last: when, how many rows, by which run.
SELECT partition AS lote, rows, source_rows AS received, committed_at, run_id
FROM slice_ledger
WHERE asset = 'tabela_compras'
ORDER BY committed_at DESC
LIMIT 20
