-- Dagster's storage, next to the data. Runs once, when the volume is new.
CREATE DATABASE dagster;
