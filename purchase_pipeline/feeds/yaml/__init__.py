"""Feeds in YAML: attributes that are derived from the classes they declare, and built from them."""
