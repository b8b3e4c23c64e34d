"""From batches of rows to a table's slice: compared with its columns, encoded, copied, counted."""
