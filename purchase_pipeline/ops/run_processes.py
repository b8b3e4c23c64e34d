"""Runs of a Dagster job in processes of their own, several at once."""

import logging
import multiprocessing
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from logging.handlers import QueueHandler
from multiprocessing.queues import Queue
from threading import Thread
from typing import TypeAlias

import dagster as dg

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.sources import waits
from purchase_pipeline.ops.runs import execute_run
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import keep_connections, open_instance

Retries: TypeAlias = "Queue[logging.LogRecord]"  # a string: before Python 3.12 the class takes no parameter
"""Log records of the processes about requests that they make again."""


class RunKilledError(PipelineError):
    """A run's process was killed."""


@contextmanager
def run_processes(feed: Feed, settings: Settings, processes: int) -> Iterator["RunProcesses"]:
    """Fork processes for runs. An interrupt lets the current runs finish.

    To be entered before a connection is opened, which a fork would share.

    Raises:
        RunKilledError: a process was killed.
    """
    runs = RunProcesses(feed, settings, processes)
    try:
        yield runs
    except BrokenProcessPool as error:
        raise RunKilledError(
            "The process of a run was killed, perhaps as the machine ran out of memory.",
            hint="Run the command again: loaded batches are kept.",
        ) from error
    finally:
        runs.close()


class RunProcesses:
    """Forked processes that execute a feed's runs, and end with this one."""

    def __init__(self, feed: Feed, settings: Settings, processes: int) -> None:
        context = multiprocessing.get_context("fork")
        self.retries: Retries = context.Queue()
        runner = _Runner(feed, feed.definitions(settings).resolve_job_def(feed.job), settings)
        self._pool = ProcessPoolExecutor(
            processes, context, initializer=_begin, initargs=(runner, self.retries)
        )
        with warnings.catch_warnings():
            # That of `database_starting` waits, with nothing open.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            self._pool.submit(os.getpid).result()  # forks all of them

    def start(self, keys: Sequence[str]) -> Future[bool]:
        """Start a run for consecutive partitions, once a process is free; the result is whether it succeeded."""
        return self._pool.submit(_execute, keys)

    def close(self) -> None:
        """End the processes after their current runs."""
        self._pool.shutdown(cancel_futures=True)


@dataclass
class _Runner:
    """What a process runs."""

    feed: Feed
    job: dg.JobDefinition
    settings: Settings

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's instance, opened with the first run: when the database is there."""
        instance = open_instance(self.settings)
        keep_connections(instance)
        return instance


_runner: _Runner  # of a forked process


def _begin(runner: _Runner, retries: Retries) -> None:
    """Prepare a process: what interrupts the command does not reach its run."""
    global _runner  # noqa: PLW0603  (tasks are given no state of their process)
    _runner = runner
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # how the pool ends the others if one is killed
    Thread(target=_end_with_parent, daemon=True).start()
    logger = logging.getLogger(waits.__name__)
    logger.addHandler(QueueHandler(retries))
    logger.propagate = False


def _execute(keys: Sequence[str]) -> bool:
    # In a thread, where Dagster installs no signal handlers.
    with ThreadPoolExecutor(max_workers=1) as thread:
        run = thread.submit(execute_run, _runner.feed, _runner.job, _runner.instance, keys)
        return run.result()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:  # as in any forked process
        parent.join()
    os._exit(1)
