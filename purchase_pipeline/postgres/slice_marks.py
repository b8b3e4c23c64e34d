"""Marks of a table's slices that are still to be copied: triggers set one, in its own transaction, for whatever writes.

A mark is a row, and never changed: who removes those that they see, and copies after, misses no write. One that is
committed in between has a mark that stays.
"""

import sqlalchemy as sa

from purchase_pipeline.postgres.statements import Name, execute

_FUNCTION = """
    CREATE FUNCTION {marks}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $body$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO {marks} SELECT DISTINCT {column} FROM {new};
            RETURN NULL;
        END IF;
        IF TG_OP IN ('INSERT', 'UPDATE') THEN
            INSERT INTO {marks} SELECT DISTINCT {column} FROM rows_after;
        END IF;
        IF TG_OP IN ('DELETE', 'UPDATE') THEN
            INSERT INTO {marks} SELECT DISTINCT {column} FROM rows_before;
        END IF;
        RETURN NULL;
    END
    $body$
"""
_TRIGGERS = {
    "insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS rows_after",
    "update": "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after",
    "delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS rows_before",
    "truncate": "AFTER TRUNCATE ON {table}",
}
# From one value to the next by the index that starts with the column, whatever the number of rows.
_ADD_UNMARKED = """
    WITH RECURSIVE found (key) AS (
        (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM {table} WHERE {column} > found.key ORDER BY {column} LIMIT 1)
        FROM found WHERE found.key IS NOT NULL
    )
    INSERT INTO {marks} SELECT key FROM found
    WHERE key IS NOT NULL AND NOT EXISTS (SELECT FROM {new} WHERE {column} = key)
    AND NOT EXISTS (SELECT FROM {marks} AS mark WHERE mark.{column} = found.key)
"""


class SliceMarks:
    """The marks of one table on its way into another, `new`. A slice is the rows of one value of `column`."""

    def __init__(self, table: Name, new: Name, column: str) -> None:
        self.place = table.beside(f"{table.name}_to_copy")
        self._names = {"table": table, "new": new, "column": column, "marks": self.place}

    def create(self, connection: sa.Connection) -> None:
        """Have each write marked from now on. Nobody writes meanwhile: the lock of a trigger's creation sees to it."""
        execute(
            connection, "CREATE TABLE {marks} AS SELECT {column} FROM {table} WITH NO DATA", **self._names
        )
        execute(connection, "CREATE INDEX ON {marks} ({column})", **self._names)
        execute(connection, _FUNCTION, **self._names)
        for name, event in _TRIGGERS.items():
            execute(
                connection,
                "CREATE TRIGGER {name} " + event + " FOR EACH STATEMENT EXECUTE FUNCTION {marks}()",
                name=f"{self.place.name}_{name}",
                **self._names,
            )

    def add_unmarked(self, connection: sa.Connection) -> None:
        """Mark the slices that were neither written since the marks were created, nor copied."""
        execute(connection, _ADD_UNMARKED, **self._names)

    def marked(self, connection: sa.Connection) -> list[str]:
        """Return the marked slices, in order."""
        query = "SELECT DISTINCT {column} FROM {marks} ORDER BY 1"
        return list(execute(connection, query, **self._names).scalars())

    def remove(self, connection: sa.Connection, key: str) -> None:
        """Remove a slice's marks, those that are there now. It is to be copied by a later statement."""
        execute(connection, "DELETE FROM {marks} WHERE {column} = %s", [key], **self._names)

    def drop(self, connection: sa.Connection) -> None:
        """Mark nothing any more."""
        execute(connection, "DROP FUNCTION {marks}() CASCADE", **self._names)
        execute(connection, "DROP TABLE {marks}", **self._names)
