"""Expected errors as `dg.Failure`, which Dagster's pages show unwrapped: the message, then the facts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import psycopg
import sqlalchemy as sa

from purchase_pipeline import PipelineError
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.postgres.database_errors import outage_error


@contextmanager
def expected_failures() -> Iterator[None]:
    """Raise expected errors as failures: those of the error tree, and outages of a database.

    A failure keeps the error's class, so that `except SchemaDriftError` still catches it. Its message names the cause,
    so Dagster shows no second stack. A retry policy applies to transient errors alone. Other exceptions are bugs, or
    the asset's own, and are unchanged.

    Raises:
        dagster.Failure: of the error's class too.
    """
    try:
        yield
    except dg.Failure:
        raise
    except PipelineError as error:
        raise _failure(error) from None
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        if (outage := outage_error(error)) is None:
            raise
        raise _failure(outage) from None


def _failure(error: PipelineError) -> dg.Failure:
    """Return the error as a failure of its class; its attributes become metadata."""
    facts = {name: value for name, value in vars(error).items() if name != "transient"}
    shown = dg.Failure(str(error), _metadata(facts), allow_retries=error.transient)
    kind = _failure_class(type(error))
    failure = kind.__new__(kind)
    failure.args = error.args
    vars(failure).update(vars(error) | vars(shown))
    return failure


def _failure_class(kind: type[PipelineError]) -> type[dg.Failure]:
    # With the names of `kind`, which tracebacks show.
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (dg.Failure, kind), names)


def _metadata(facts: Mapping[str, Any]) -> dict[str, RawMetadataValue]:
    return {
        name: _metadata_value(name, value) for name, value in facts.items() if value not in (None, "", [])
    }


def _metadata_value(name: str, value: Any) -> RawMetadataValue:  # noqa: ANN401  (whatever an error has)
    if isinstance(value, Sequence) and not isinstance(value, str):
        rows = [row if isinstance(row, Mapping) else {name: row} for row in value]
        return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])
    return value if isinstance(value, int | float | str) else str(value)
