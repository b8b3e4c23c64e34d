"""From the API to the tables, without Dagster: fetch, land, validate, load, quarantine, reconcile."""
