"""Frames: pandas, polars and Arrow, each known by a module that those import who use it."""
