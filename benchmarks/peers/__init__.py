"""Other methods of loading a batch from the API into PostgreSQL, each written as its documentation shows."""
