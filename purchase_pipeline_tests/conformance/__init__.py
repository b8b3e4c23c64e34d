"""The conformance kit: behaviours that any partitioned Dagster IO manager for tables could be held to."""
