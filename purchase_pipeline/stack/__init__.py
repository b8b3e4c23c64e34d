"""The local stack: PostgreSQL, the mock API, Dagster, and their processes."""
