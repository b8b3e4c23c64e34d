-- How much room each table takes, with its indexes and partitions, and about how many rows it has.
SELECT
    relname AS table,
    sum(n_live_tup)::bigint AS about_rows,
    pg_size_pretty(sum(pg_total_relation_size(relid))) AS size,
    pg_size_pretty(sum(pg_indexes_size(relid))) AS of_which_indexes
FROM (
    SELECT relid, n_live_tup, coalesce(pg_partition_root(relid), relid) AS whole
    FROM pg_stat_user_tables
) AS part
JOIN pg_class ON pg_class.oid = whole
GROUP BY whole, relname
ORDER BY sum(pg_total_relation_size(relid)) DESC
