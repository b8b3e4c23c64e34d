"""Examples of other sources, each a folder to copy."""
