"""Dagster's storage: a database is taken if it is empty, marked as ours, or has the history of our jobs alone.

A daemon fails the runs that it finds in its storage and does not know: those of another deployment must not be there.
"""

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from purchase_pipeline.errors import PipelineError

MARK = "purchase_pipeline_storage"
"""The table, without columns, that says whose a database is. It outlives all that Dagster can wipe."""

CODE_LOCATION = "purchase_pipeline"
JOBS = ("ingest_lote", "sum_lots", "refresh_sales")
_OF_EVERYBODY = ("__ASSET_JOB",)  # what Dagster calls a run of assets that names no job
_LOCK = 7_035_612_002  # of nobody else in that database
_SHOWN = 3

_MARKED = "SELECT to_regclass(%s) IS NOT NULL"
_TABLES = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY (current_schemas(false)) AND relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') -- an extension's
    ORDER BY relname
"""
_OTHER_JOBS = "SELECT DISTINCT pipeline_name FROM runs WHERE pipeline_name <> ALL (%s) ORDER BY 1"
# Dagster notes it of each run that a code location was asked for (repository@location), and of sensors and schedules.
_OTHER_LOCATIONS = """
    SELECT DISTINCT location FROM (
        SELECT split_part(value, '@', 2) FROM run_tags WHERE key = '.dagster/repository'
        UNION SELECT substring(instigator_body FROM '"location_name": "([^"]*)"') FROM instigators
    ) AS seen (location)
    WHERE location <> %s ORDER BY 1
"""
_DAGSTERS = frozenset({"runs", "run_tags", "instigators", "event_logs"})


class ForeignStorageError(PipelineError):
    """A database has somebody else's tables or runs, and nothing says that it is ours."""


def claim_storage(connection: "psycopg.Connection[Any]", shown_url: str) -> None:
    """Mark a database as the storage of this pipeline's Dagster; safe to run again, and by two processes at once.

    Raises:
        ForeignStorageError: it is somebody else's. Nothing was changed.
    """
    if _is_marked(connection):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        tables = _column(connection, _TABLES)
        if MARK in tables:
            return
        if seen := _strangers(connection, tables):
            raise ForeignStorageError(_refusal(shown_url, seen))
        _mark(connection, tables)


def _is_marked(connection: "psycopg.Connection[Any]") -> bool:
    return connection.execute(_MARKED, [MARK]).fetchone() == (True,)


def _strangers(connection: "psycopg.Connection[Any]", tables: list[str]) -> str:
    """Say what is not of this pipeline; nothing where all is."""
    if not tables:
        return ""
    if not set(tables) >= _DAGSTERS:
        return f"tables that are not Dagster's: {_listed(tables)}"
    if locations := _column(connection, _OTHER_LOCATIONS, CODE_LOCATION):
        return f"runs of another code location: {_listed(locations)}"
    if jobs := _column(connection, _OTHER_JOBS, [*JOBS, *_OF_EVERYBODY]):
        return f"runs of jobs that are not this pipeline's: {_listed(jobs)}"
    return ""


def _mark(connection: "psycopg.Connection[Any]", tables: list[str]) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(MARK)))
    except psycopg.errors.InsufficientPrivilege:
        if not tables:  # of which Dagster would be refused the first, too
            raise


def _column(connection: "psycopg.Connection[Any]", query: str, *values: object) -> list[str]:
    return [str(value) for (value,) in connection.execute(query.encode(), values)]


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{', '.join(known[:_SHOWN])}{more}"


def _refusal(shown_url: str, seen: str) -> str:
    return (
        f"{shown_url} is not this pipeline's Dagster storage: it has {seen}. Nothing was changed. Name another "
        "database with DAGSTER_POSTGRES_URL, an empty one will do; or, if Dagster here may manage what is in it, run "
        f"`CREATE TABLE {MARK} ()` there, and try again."
    )
