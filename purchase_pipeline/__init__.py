"""An HTTP API's purchases, in lots, into PostgreSQL, through Dagster."""
