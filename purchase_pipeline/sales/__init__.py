"""Sales: what the purchases add up to, and the report of it."""
