"""The claim on Dagster's storage: a database that is empty, already marked, or has only this pipeline's runs.

A daemon fails unknown runs in its storage, so it must not use the storage of another deployment.
"""

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from purchase_pipeline import PipelineError

MARK = "purchase_pipeline_storage"
"""A table without columns that marks the database; Dagster cannot wipe it."""

CODE_LOCATION = "purchase_pipeline"
JOBS = ("ingest_lote", "check_purchases")
_EARLIER_JOBS = ("sum_lots", "refresh_sales")  # jobs of version 0.1
_AD_HOC_JOBS = ("__ASSET_JOB",)  # Dagster's name for runs without a job
_LOCK = 7_035_612_002  # used by nothing else in that database
_SHOWN = 3

_MARKED = "SELECT to_regclass(%s) IS NOT NULL"
_TABLES = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY (current_schemas(false)) AND relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') -- an extension's
    ORDER BY relname
"""
_OTHER_JOBS = "SELECT DISTINCT pipeline_name FROM runs WHERE pipeline_name <> ALL (%s) ORDER BY 1"
# Dagster stores the code location with runs (repository@location), sensors and schedules.
_OTHER_LOCATIONS = """
    SELECT DISTINCT location FROM (
        SELECT split_part(value, '@', 2) FROM run_tags WHERE key = '.dagster/repository'
        UNION SELECT substring(instigator_body FROM '"location_name": "([^"]*)"') FROM instigators
    ) AS seen (location)
    WHERE location <> %s ORDER BY 1
"""
_DAGSTER_TABLES = frozenset({"runs", "run_tags", "instigators", "event_logs"})


class ForeignStorageError(PipelineError):
    """The database has tables or runs of another deployment."""


def claim_storage(connection: "psycopg.Connection[Any]", shown_url: str) -> None:
    """Mark a database as Dagster storage of this pipeline. Idempotent and safe to run concurrently.

    Raises:
        ForeignStorageError: it belongs to another deployment. Nothing was changed.
    """
    if _is_marked(connection):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        tables = _column(connection, _TABLES)
        if MARK in tables:
            return
        if seen := _foreign_content(connection, tables):
            raise ForeignStorageError(
                f"{shown_url} is not this pipeline's Dagster storage: it has {seen}. Nothing was changed.",
                hint="Set DAGSTER_POSTGRES_URL to another database, such as an empty one. To let Dagster manage this "
                f"one, run `CREATE TABLE {MARK} ()` in it and try again.",
            )
        _mark(connection, tables)


def _is_marked(connection: "psycopg.Connection[Any]") -> bool:
    return connection.execute(_MARKED, [MARK]).fetchone() == (True,)


def _foreign_content(connection: "psycopg.Connection[Any]", tables: list[str]) -> str:
    """Describe content that is not this pipeline's; '' if there is none."""
    if not tables:
        return ""
    if not set(tables) >= _DAGSTER_TABLES:
        return f"tables that are not Dagster's: {_listed(tables)}"
    if locations := _column(connection, _OTHER_LOCATIONS, CODE_LOCATION):
        return f"runs of another code location: {_listed(locations)}"
    if jobs := _column(connection, _OTHER_JOBS, [*JOBS, *_EARLIER_JOBS, *_AD_HOC_JOBS]):
        return f"runs of jobs that are not this pipeline's: {_listed(jobs)}"
    return ""


def _mark(connection: "psycopg.Connection[Any]", tables: list[str]) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(MARK)))
    except psycopg.errors.InsufficientPrivilege:
        if not tables:  # Dagster could not create its tables either
            raise


def _column(connection: "psycopg.Connection[Any]", query: str, *values: object) -> list[str]:
    return [str(value) for (value,) in connection.execute(query.encode(), values)]


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{', '.join(known[:_SHOWN])}{more}"
