"""A Dagster pipeline that loads batches from an HTTP API into PostgreSQL."""
