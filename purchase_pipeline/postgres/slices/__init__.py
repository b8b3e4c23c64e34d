"""A table's slices: conditions on rows, partitions of a range, the ledger of what was committed."""
