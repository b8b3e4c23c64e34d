"""Column types in PostgreSQL's catalog, with domains resolved to their base types."""

from typing import NamedTuple

import sqlalchemy as sa
from psycopg import sql

_COLUMNS = """
    WITH RECURSIVE step AS (
        SELECT attnum, attname, 0 AS level, atttypid AS oid, atttypmod AS modifier, NULL AS domain
        FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT attnum, attname, level + (typtype <> 'd')::int,
            CASE typtype WHEN 'd' THEN typbasetype ELSE typelem END,
            CASE WHEN typtype = 'd' AND modifier = -1 THEN typtypmod ELSE modifier END,
            CASE WHEN typtype = 'd' THEN coalesce(domain, format_type(step.oid, NULL)) END
        FROM step JOIN pg_type ON pg_type.oid = step.oid
        WHERE typtype = 'd' OR (typcategory = 'A' AND typelem <> 0)
    )
    SELECT attname::text, typname::text, modifier, typtype::text, format_type(step.oid, NULL),
        format_type(step.oid, modifier), domain
    FROM step JOIN pg_type ON pg_type.oid = step.oid WHERE typtype <> 'd' ORDER BY attnum, level
"""


class NativeType(NamedTuple):
    """A type that is not a domain.

    Attributes:
        base: name in the catalog, such as `int4`, `numeric`, `_text`.
        modifier: type modifier (length, precision and scale, or fields); -1: none.
        kind: `typtype`: `b` for a base type, `e` an enum, `c` a composite, `r` a range.
        unbounded: SQL name without the modifier.
        bounded: SQL name with the modifier.
        domain: SQL name of the column's domain; None: the type is not a domain.
        element: element type of an array.
    """

    base: str
    modifier: int
    kind: str
    unbounded: str
    bounded: str
    domain: str | None = None
    element: "NativeType | None" = None

    @property
    def label(self) -> str:
        """The type as shown in error messages."""
        own = (self.element or self).kind != "b" or self.of_domains
        return self.bounded if own else self.bounded.upper()

    @property
    def of_domains(self) -> bool:
        """Whether it is an array of domains, whose OID differs from that of an array of the base type."""
        return self.element is not None and self.unbounded != f"{self.element.unbounded}[]"

    @property
    def declared(self) -> str:
        """SQL name of the column's type, including a domain whose checks apply."""
        return self.domain or self.bounded

    @property
    def digits(self) -> tuple[int, int]:
        """Precision and scale of a NUMERIC (PostgreSQL, numeric_typmod_scale in numeric.c)."""
        modifier = self.modifier - 4
        return modifier >> 16 & 0xFFFF, ((modifier & 0x7FF) ^ 1024) - 1024


def native_types(connection: sa.Connection, table: sa.FromClause) -> dict[str, NativeType]:
    """Return the types of a table's columns, in order, with one query of the catalog."""
    schema = getattr(table, "schema", None)
    name = sql.Identifier(*filter(None, (schema, getattr(table, "name", "")))).as_string()
    found: dict[str, NativeType] = {}
    for column, *parts in connection.exec_driver_sql(_COLUMNS, (name,)):
        step = NativeType(*parts)
        found[column] = found[column]._replace(element=step) if column in found else step
    return found
