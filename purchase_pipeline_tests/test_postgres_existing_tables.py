"""Columns of every type in DDL, filled with generated values: stored unchanged, or rejected.

Equal means: PostgreSQL writes the stored value as it writes the one handed over in the type without its bounds, such as
TEXT for VARCHAR(3); numbers and durations are compared as such. Read back, a value is what psycopg reads of it.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import accumulate, count
from typing import Any

import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchase_pipeline.postgres import PostgresWriteError, RowStream, SchemaDriftError, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place
from purchase_pipeline_tests.every_column import (
    COLUMNS,
    DOCUMENTS,
    IDENTIFIERS,
    PREPARATION,
    Column,
    Data,
)
from purchase_pipeline_tests.test_postgres_round_trip import same, without_pandas

ONCE = settings(
    max_examples=1, derandomize=True, deadline=None, database=None, suppress_health_check=[*HealthCheck]
)
ROUTES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table, "query": RowStream}
"""Formats in which values are written and read back."""
NUMBERS = count()


def literal(value: Any) -> Any:  # noqa: ANN401
    """Return PostgreSQL's text of a value."""
    if isinstance(value, list):
        return list(map(literal, value))
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None else str(value)


def number(value: Any) -> Any:  # noqa: ANN401
    """Return a number, or list of numbers, in a form that compares by value."""
    if isinstance(value, list):
        return list(map(number, value))
    if value is None:
        return None
    exact = Decimal(value)
    return "NaN" if exact.is_nan() else exact


@dataclass(frozen=True)
class Trial:
    """A table with one column and an old row, and the data to write to it in one format."""

    connection: psycopg.Connection[Any]
    manager: DirectIOManager
    column: Column
    data: Data
    route: str
    name: str

    @property
    def place(self) -> Place:
        return Place([self.name])

    def make_table(self) -> None:
        for statement in (
            f'CREATE TABLE "{self.name}" (row bigint, value {self.column.ddl})',
            f'INSERT INTO "{self.name}" VALUES (-1, NULL)',  # noqa: S608  # the test's own SQL
        ):
            self.connection.execute(statement)

    def handed(self, values: Sequence[Any]) -> Any:  # noqa: ANN401
        """Return the data to write for these values."""
        rows = list(range(len(values)))
        if self.route == "pandas":
            return pd.DataFrame({"row": rows, "value": pd.Series(values, dtype="object")})
        if self.route == "polars":
            series = pl.Series("value", values, self.data.polars or pl.Object)
            return pl.DataFrame([pl.Series("row", rows), series])
        if self.route == "pyarrow":
            return pa.table({"row": rows, "value": arrow_array(self.data, values)})
        source = f"source_{next(NUMBERS)}"
        self.connection.execute(f"CREATE TABLE {source} (row bigint, value {self.data.sql})")
        cast = "::text[]" if self.data.sql.endswith("[]") else "::text"
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {source} VALUES (%s, %s{cast}::{self.data.sql})",  # noqa: S608  # the test's own SQL
                [(row, literal(value)) for row, value in zip(rows, values, strict=True)],
            )
        return (
            sa.select(sa.column("row"), sa.column("value"))
            .select_from(sa.table(source))
            .order_by(sa.column("row"))
        )

    def attempt(self, values: Sequence[Any]) -> PostgresWriteError | None:
        try:
            self.manager.write(self.place, self.handed(values))
        except PostgresWriteError as error:
            return error
        return None

    def refused_row(self, error: PostgresWriteError) -> int | None:
        """Return the rejected row, None for the whole column; check that it is named and that the old row remains."""
        old = self.connection.execute(f'SELECT row, value FROM "{self.name}"').fetchall()  # noqa: S608  # the test's own SQL
        assert old == [(-1, None)], error
        if isinstance(error, SchemaDriftError):
            assert "column 'value'" in str(error), error
            return None
        assert isinstance(error, UnstorableValueError)
        assert error.column == "value", error
        assert error.row is not None, error
        return error.row

    def faults(self, values: Sequence[Any]) -> Iterator[str]:
        """Yield values that are stored or read changed."""
        found = self.connection.execute(
            f"SELECT row, {self.column.read.format('value')}, CASE WHEN value::text IS NOT NULL THEN concat(value) END "  # noqa: S608  # the test's own SQL
            f'FROM "{self.name}" ORDER BY row'
        ).fetchall()
        if [row for row, *_ in found] != list(range(len(values))):
            yield f"{len(values)} rows are stored as {found!r}"
            return
        for handed, (_, value, text) in zip(values, found, strict=True):
            if not self.is_exact(handed, value, text):
                yield f"{handed!r} is stored as {text!r}"
        frame = self.manager.read_as(ROUTES[self.route], self.place)
        for seen, (_, value, _) in zip(column_of(frame), found, strict=True):
            if not equal(seen, value, is_json=self.column.wide == "jsonb"):
                yield f"{value!r} is read as {seen!r}"

    def is_exact(self, handed: Any, value: Any, text: str | None) -> bool:  # noqa: ANN401
        """Return whether the stored value and its text are those written."""
        wide = self.column.wide
        if wide.removesuffix("[]") in ("numeric", "float8"):
            meant = list(map(self.meant, handed)) if isinstance(handed, list) else self.meant(handed)
            return bool(number(value) == number(meant))
        if wide.startswith("interval") and "text" not in self.data.sql:
            return bool(value == handed)
        if self.column.ddl == "json" and isinstance(handed, str) and text != handed:
            return False
        return self.normal(text if wide == "jsonb" else None, text) == self.normal(literal(handed), None)

    def normal(self, value: Any, text: str | None) -> str | None:  # noqa: ANN401
        """Return PostgreSQL's text of a value in the wide type; without one, the text itself."""
        if value is None:
            return text
        kind = "text[]" if isinstance(value, list) else "text"
        statement = f"SELECT concat(%s::{kind}::{self.column.wide})"
        (written,) = self.connection.execute(statement, [value]).fetchone()  # type: ignore[misc]
        return str(written)

    def meant(self, value: Any) -> Any:  # noqa: ANN401
        """Return the expected number: pandas has no NaN, and a float in NUMERIC is its shortest decimal."""
        if not isinstance(value, float):
            return value
        if self.route == "pandas" and math.isnan(value) and not self.column.wide.endswith("[]"):
            return None
        return (
            Decimal(repr(value))
            if self.column.wide.startswith("numeric") and not self.column.whole
            else value
        )


def arrow_array(data: Data, values: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return values in Arrow, with its extension types for UUIDs and JSON."""
    if data is IDENTIFIERS:
        return pa.array([value and value.bytes for value in values], pa.binary(16)).cast(pa.uuid())
    if data is DOCUMENTS:
        texts = [value if value is None else json.dumps(value) for value in values]
        return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))
    if data.sql == "uuid[]":
        lengths = [len(value or ()) for value in values]
        offsets = [
            None if value is None else end
            for value, end in zip(values, [0, *accumulate(lengths)], strict=False)
        ]
        flat = arrow_array(IDENTIFIERS, [one for value in values for one in value or ()])
        return pa.ListArray.from_arrays(pa.array([*offsets, sum(lengths)], pa.int32()), flat)
    return pa.array(values, data.arrow)


def column_of(frame: Any) -> list[Any]:  # noqa: ANN401
    """Return the values in row order."""
    if isinstance(frame, RowStream):
        pairs = [tuple(row) for batch in frame.batches for row in batch]
    elif isinstance(frame, pd.DataFrame):
        pairs = list(zip(frame["row"], map(without_pandas, frame["value"]), strict=True))
    else:
        found = frame.to_dict(as_series=False) if isinstance(frame, pl.DataFrame) else frame.to_pydict()
        pairs = list(zip(found["row"], found["value"], strict=True))
    return [value for _, value in sorted(pairs, key=lambda pair: int(pair[0]))]


def equal(found: Any, stored: Any, *, is_json: bool) -> bool:  # noqa: ANN401
    if is_json and stored is not None:
        wanted = json.loads(stored) if isinstance(stored, str) else list(stored)
        if isinstance(found, str):
            found = json.loads(found)
        return bool(found == wanted)
    if isinstance(found, list) and isinstance(stored, list):
        return len(found) == len(stored) and all(
            equal(one, other, is_json=False) for one, other in zip(found, stored, strict=True)
        )
    if isinstance(stored, Decimal) and found is not None:
        return bool(number(found) == number(stored)) or (
            isinstance(found, float) and math.isnan(found) and stored.is_nan()
        )
    if isinstance(stored, float) and math.isnan(stored) and found is None:
        return True  # pandas
    return same(found, stored) or (
        not isinstance(stored, str | list) and stored is not None and str(found) == str(stored)
    )


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(PREPARATION)
        yield connection


def once(data: Data, use: Callable[[list[Any]], None]) -> None:
    """Generate distinct values."""

    @ONCE
    @given(st.lists(data.values, min_size=data.rows, max_size=data.rows, unique_by=repr))
    def each(values: list[Any]) -> None:
        use(values)

    each()


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:Did not recognize type")
@pytest.mark.parametrize("route", ROUTES)
def test_what_goes_into_an_existing_column_is_stored_as_it_is_or_refused_and_nothing_is_lost(
    route: str, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    outcomes, wrong, manager = Counter[str](), list[str](), DirectIOManager(database_url)

    def fill(column: Column, data: Data, values: list[Any]) -> None:
        trial, rows = (
            Trial(connection, manager, column, data, route, f"trial_{next(NUMBERS)}"),
            [*values, None],
        )
        trial.make_table()
        while (error := trial.attempt(rows)) and (row := trial.refused_row(error)):
            rows.pop(row - 1)
            outcomes["refused by row"] += 1
        outcomes["refused, the whole column" if error else "equal"] += len(rows)
        if not error:
            wrong.extend(f"{column.ddl} of {data.sql}: {fault}" for fault in trial.faults(rows))

    for column in COLUMNS:
        for data in column.data:
            once(data, partial(fill, column, data))

    print(f"\n{route}: {len({one.ddl for one in COLUMNS})} column types, {dict(outcomes)}")
    assert not wrong, "\n".join(wrong)
    assert outcomes.total() > 1_250
