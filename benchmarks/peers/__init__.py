"""Other ways to take a lot from the API into PostgreSQL, each written as its own documentation has it."""
