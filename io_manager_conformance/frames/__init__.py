"""Frames of pandas, polars and Arrow for subjects: a class to inherit from in a module for each library."""
