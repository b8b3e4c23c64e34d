"""The Dagster side of a feed: assets, checks, jobs, sensors, and the backlog that the sensor works through."""
