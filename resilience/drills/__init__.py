"""Drills: one kind of fault each, struck many times against the real system, and what came of it counted."""
