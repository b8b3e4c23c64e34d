"""Writing a table's slice: batches compared with its columns, encoded, copied, counted."""
