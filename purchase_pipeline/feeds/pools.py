"""Dagster's concurrency pools: what many runs at once could drown.

A pool lets so many runs at once as its limit says: `dagster instance concurrency set purchase_api 4`, or the page
Deployment, Concurrency of the UI. Without a limit it lets all.
"""

API = "purchase_api"
DATABASE = "purchase_database"
