-- How much room each table takes, with its indexes, and about how many rows it has.
SELECT
    relname AS table,
    n_live_tup AS about_rows,
    pg_size_pretty(pg_total_relation_size(relid)) AS size,
    pg_size_pretty(pg_indexes_size(relid)) AS of_which_indexes
FROM pg_stat_user_tables
ORDER BY pg_total_relation_size(relid) DESC
