"""Backups: one file with the databases and the landed files of a home."""
