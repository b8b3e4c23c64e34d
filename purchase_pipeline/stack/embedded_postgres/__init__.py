"""A PostgreSQL server for a machine that has none."""
