"""Column types as PostgreSQL has them, domains followed to what they are made of: what a value must fit exactly."""

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
    """A type that is no domain.

    Attributes:
        base: its name in the catalog, such as `int4`, `numeric`, `_text`.
        modifier: PostgreSQL's number for length, precision, scale or fields; -1: there are none.
        kind: PostgreSQL's letter: `b` for a base type, `e` an enum, `c` a composite, `r` a range.
        unbounded: its name in SQL, without the modifier.
        bounded: its name in SQL, as the column has it.
        domain: the name in SQL of the domain that the column has; None: the type itself.
        element: of an array, what its elements are.
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
        """The type as errors name it."""
        own = (self.element or self).kind != "b" or self.of_domains
        return self.bounded if own else self.bounded.upper()

    @property
    def of_domains(self) -> bool:
        """Whether it is an array of domains, for which PostgreSQL has another number than for one of their base."""
        return self.element is not None and self.unbounded != f"{self.element.unbounded}[]"

    @property
    def declared(self) -> str:
        """Its name in SQL, with all that the column says of a value: what a domain checks is checked too."""
        return self.domain or self.bounded

    @property
    def digits(self) -> tuple[int, int]:
        """A NUMERIC's precision and scale (PostgreSQL, numeric_typmod_scale in numeric.c)."""
        modifier = self.modifier - 4
        return modifier >> 16 & 0xFFFF, ((modifier & 0x7FF) ^ 1024) - 1024


def native_types(connection: sa.Connection, table: sa.FromClause) -> dict[str, NativeType]:
    """Return the columns of a table, in order, with their types: one look at the catalog."""
    schema = getattr(table, "schema", None)
    name = sql.Identifier(*filter(None, (schema, getattr(table, "name", "")))).as_string()
    found: dict[str, NativeType] = {}
    for column, *parts in connection.exec_driver_sql(_COLUMNS, (name,)):
        step = NativeType(*parts)
        found[column] = found[column]._replace(element=step) if column in found else step
    return found
