"""Columns: their types, what goes into them unchanged, how they widen, what a pydantic model says of them."""
