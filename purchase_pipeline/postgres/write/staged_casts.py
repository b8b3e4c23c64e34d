"""Columns that PostgreSQL casts: they are staged in their own type, and compared with the result of the cast."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.errors import SchemaDriftError, UnstorableValueError
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.table_errors import target_table
from purchase_pipeline.postgres.schema.types import short_repr
from purchase_pipeline.postgres.statements import execute
from purchase_pipeline.postgres.write.staging import insert_query

_TEXTS = {"text", "varchar", "bpchar", "citext", "name"}
_LOSSLESS_FROM_TEXT = {
    *("inet", "cidr", "macaddr", "macaddr8", "uuid", "pg_lsn"),
    *("xml", "ltree", "lquery", "ltxtquery", "jsonpath"),
}
"""Types that preserve a string's meaning, however it is spelled."""
_COMPARED_AS_TEXT = {"json", "xml", "point", "polygon", "jsonpath", "box", "path", "lseg", "line", "circle"}
_FIRST_CHANGED = """
    SELECT row, value::text, result::text FROM (
        SELECT row, value, {cast} AS result FROM (
            SELECT row_number() OVER (ORDER BY ctid) AS row, {column} AS value FROM {staged}
        ) AS numbered
        WHERE row > %s AND row <= %s OFFSET 0
    ) AS casts
    WHERE {changed} ORDER BY row LIMIT 1
"""
_HSTORE = """
    CASE WHEN {value} IS NOT NULL THEN
        (SELECT coalesce({hstore}(array_agg(key), array_agg(value)), '') FROM jsonb_each_text({value}))
    END
"""
_CHANGED_AS_FLOAT = """
    CASE WHEN value IS NULL OR value IN ('NaN', 'Infinity', '-Infinity') THEN false
    WHEN abs({whole}) < 9e18 THEN ({whole})::float8::bigint <> {whole} OR result::float8 <> value::float8
    ELSE true END
"""
"""For decimals: doubled once per decimal place, the value is whole if it is exact as a float. Casting a float to
NUMERIC rounds.
"""
_VALUE_ERRORS = (
    *(psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError),
    # Errors of extensions that cannot parse a string: LTREE, VECTOR, HSTORE before PostgreSQL 16.
    *(psycopg.errors.SyntaxError, psycopg.errors.ProgramLimitExceeded, psycopg.errors.InternalError_),
)
_NO_CAST = (psycopg.errors.CannotCoerce, psycopg.errors.UndefinedFunction, psycopg.errors.DatatypeMismatch)


STAGED = "cast_rows"
"""The temporary table of staged rows."""


class Cast(NamedTuple):
    """The cast of a staged column, from one type to another."""

    column: str
    staged: NativeType
    native: NativeType

    def of(self, value: str) -> str:
        """Return the SQL that casts an expression."""
        if self.native.base == "hstore" and self.staged.base == "jsonb":
            return f"{_HSTORE.format(hstore=self.native.unbounded, value=value)}::{self.native.declared}"
        return f"{value}::{self.native.declared}"

    @property
    def changed(self) -> sql.Composable:
        """Whether the cast changed a value. Even where it never does, evaluating this makes PostgreSQL cast."""
        staged, native = self.staged.element or self.staged, self.native.element or self.native
        if self.native.base == "bpchar" and self.native.modifier >= 0:
            return sql.SQL("length(value::text) <> {}").format(self.native.modifier - 4)
        if self.staged.base == "numeric" and self.native.base in ("float4", "float8"):
            return sql.SQL(_CHANGED_AS_FLOAT).format(
                whole=sql.SQL("value * power(2::numeric, scale(trim_scale(value)))")
            )
        if staged.base in _TEXTS and native.base in _LOSSLESS_FROM_TEXT:
            return sql.SQL("value IS NOT NULL AND result::text IS NULL")
        if staged.base in _TEXTS and native.base not in _TEXTS:
            return sql.SQL("replace(result::text, ' ', '') IS DISTINCT FROM replace(value::text, ' ', '')")
        if {staged.base, native.base} & (_TEXTS | _COMPARED_AS_TEXT):
            return sql.SQL("result::text IS DISTINCT FROM value::text")
        # Vectors can be cast to no other array.
        back = (
            f"real[]::{self.staged.bounded}" if native.base in ("vector", "halfvec") else self.staged.bounded
        )
        return sql.SQL("result::{} IS DISTINCT FROM value").format(sql.SQL(back))


def insert_cast(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Cast | None]) -> int:
    """Move staged rows into the table, casting columns that need it; return the number of rows stored.

    Raises:
        SchemaDriftError: PostgreSQL has no such cast.
        UnstorableValueError: a value that cannot be cast, or that its cast changes.
    """
    for cast in filter(None, columns.values()):
        _require_exact(connection, table, cast)
    values: list[sa.ColumnElement[Any]] = [
        sa.column(name) if cast is None else sa.literal_column(cast.of(sql.Identifier(name).as_string()))
        for name, cast in columns.items()
    ]
    return insert_query(connection, table, list(columns), sa.select(*values).select_from(sa.table(STAGED)))


def _require_exact(connection: sa.Connection, table: sa.Table, cast: Cast) -> None:
    rows = int(execute(connection, "SELECT count(*) FROM {staged}", staged=STAGED).scalar_one())
    try:
        changed = _first_changed(connection, cast, 0, rows)
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, _NO_CAST):
            difference = f"column {cast.column!r} is {cast.native.label}, but {cast.staged.label} in the data"
            raise SchemaDriftError(str(table), [difference], "PostgreSQL has no lossless cast.") from error
        if not isinstance(error.orig, _VALUE_ERRORS):
            raise
        row = _first_refused(connection, cast, rows)
        words = error.orig.diag.message_primary or str(error.orig)
        raise UnstorableValueError(str(target_table(table)), row, cast.column, words) from error
    if changed is not None:
        row, value, result = changed
        raise UnstorableValueError(
            str(table),
            row,
            cast.column,
            f"{short_repr(value)} would be stored as {short_repr(result)} in the column, which is {cast.native.label}",
        )


def _first_changed(
    connection: sa.Connection, cast: Cast, first: int, last: int
) -> tuple[int, str, str] | None:
    with connection.begin_nested():  # so that a failing cast does not abort the transaction
        found: Any = execute(
            connection,
            _FIRST_CHANGED,
            (first, last),
            staged=STAGED,
            column=cast.column,
            cast=sql.SQL(cast.of("value")),
            changed=cast.changed,
        ).first()
    return found and tuple(found)


def _first_refused(connection: sa.Connection, cast: Cast, rows: int) -> int:
    """Return the number of the first row that cannot be cast, by bisection."""
    first, last = 0, rows
    while last - first > 1:
        middle = (first + last) // 2
        try:
            _first_changed(connection, cast, first, middle)
        except sa.exc.DBAPIError:
            last = middle
        else:
            first = middle
    return last
