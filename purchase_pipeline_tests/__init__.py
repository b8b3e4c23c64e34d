"""Tests against the real thing: PostgreSQL, HTTP and Dagster."""
