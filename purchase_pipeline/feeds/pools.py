"""Dagster's concurrency pools, which limit how many runs use the API or the database at once.

Set a limit with `dagster instance concurrency set purchase_api 4`, or in the UI under Deployment > Concurrency. A pool
without a limit admits all runs.
"""

API = "purchase_api"
DATABASE = "purchase_database"
