"""IO managers of others as subjects of the suite, each used as its own documentation says; not part of the wheel."""
