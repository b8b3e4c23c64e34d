"""Slices of a table: conditions, deletion, partitions of a range, the ledger of commits."""
