"""A job that waits to be killed."""

from time import sleep

import dagster as dg


@dg.op
def wait() -> None:
    """Do nothing for longer than any test takes."""
    sleep(600)


@dg.job(executor_def=dg.in_process_executor)
def waiting() -> None:
    """Wait."""
    wait()


defs = dg.Definitions(jobs=[waiting])
