"""The services of one machine: PostgreSQL, the API, Dagster, and the processes they run in."""
