"""Columns and their types: inference, drift, widening, pydantic models, PostgreSQL's catalog."""
