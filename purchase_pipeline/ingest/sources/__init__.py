"""Sources of partitions: HTTP APIs and functions."""
