"""A lab: the real system broken on purpose, one kind of fault at a time, and what came of it counted."""
