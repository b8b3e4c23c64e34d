-- Dagster's own storage, beside the data. Runs once, when the volume is new.
CREATE DATABASE dagster;
