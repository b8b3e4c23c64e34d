"""Other sources on the same library: each a folder to copy."""
