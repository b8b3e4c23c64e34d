-- Size of each table with its indexes and partitions, and its approximate row count.
SELECT
    relname AS table,
    sum(n_live_tup)::bigint AS approximate_rows,
    pg_size_pretty(sum(pg_total_relation_size(relid))) AS size,
    pg_size_pretty(sum(pg_indexes_size(relid))) AS index_size
FROM (
    SELECT relid, n_live_tup, coalesce(pg_partition_root(relid), relid) AS whole
    FROM pg_stat_user_tables
) AS part
JOIN pg_class ON pg_class.oid = whole
GROUP BY whole, relname
ORDER BY sum(pg_total_relation_size(relid)) DESC
