"""Frames of pandas, polars and Arrow, each in a module that is imported only if its library is in use."""
