"""SQL that SQLAlchemy cannot express: names as identifiers, values as parameters."""

from collections.abc import Sequence
from typing import Any, LiteralString, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg import sql


class Name(NamedTuple):
    """The qualified name of a table or other object."""

    schema: str
    name: str

    def beside(self, name: str) -> "Name":
        """Return another name in the same schema."""
        return self._replace(name=name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def execute(
    connection: sa.Connection,
    statement: LiteralString,
    values: Sequence[object] = (),
    /,
    **names: Name | str | Sequence[str] | sql.Composable,
) -> sa.CursorResult[Any]:
    """Run a statement. `{name}` becomes an identifier, or several separated by commas; `%s` is a value."""
    texts = {key: _composed(name).as_string() for key, name in names.items()}
    if values:  # with values, psycopg parses % in names as well
        texts = {key: text.replace("%", "%%") for key, text in texts.items()}
    return execute_text(connection, statement.format_map(texts), values)


def execute_text(
    connection: sa.Connection, statement: str, values: Sequence[object] = ()
) -> sa.CursorResult[Any]:
    """Run SQL text that is composed already."""
    if values:
        return connection.exec_driver_sql(statement, tuple(values))
    return connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def with_values(connection: sa.Connection, query: sa.SelectBase) -> str:
    """Return a query with literal values, as psycopg quotes them: COPY and CREATE TABLE take no parameters."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"psycopg 3 is required; this connection uses {type(driver).__module__}.")
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    return psycopg.ClientCursor(driver).mogrify(str(compiled).encode(), dict(compiled.params))


def quoted(name: Name) -> str:
    """Return a name as quoted text, for functions such as to_regclass."""
    return sql.Identifier(*name).as_string()


def _composed(name: Name | str | Sequence[str] | sql.Composable) -> sql.Composable:
    if isinstance(name, sql.Composable):
        return name
    if isinstance(name, str | Name):
        return sql.Identifier(*((name,) if isinstance(name, str) else name))
    return sql.SQL(", ").join(map(sql.Identifier, name))
