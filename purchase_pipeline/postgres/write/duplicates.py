"""Duplicate keys among staged rows: the newest row stays, or they are an error. NULL keys are counted."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import UnstorableValueError
from purchase_pipeline.postgres.schema.types import short_repr
from purchase_pipeline.postgres.write_options import WriteOptions

_ROW_ID: sa.ColumnElement[str] = sa.literal_column("ctid")


def null_keys(connection: sa.Connection, staged: sa.TableClause, keys: Sequence[str]) -> dict[str, int]:
    """Return the number of rows with NULL in each key, for keys that have any."""
    counts = [sa.func.count().filter(staged.columns[key].is_(None)) for key in keys]
    found = connection.execute(sa.select(*counts).select_from(staged)).one()
    return {key: rows for key, rows in zip(keys, found, strict=True) if rows}


def drop_duplicates(
    connection: sa.Connection,
    staged: sa.TableClause,
    table: sa.Table,
    keys: Sequence[str],
    newest: str | None,
) -> int:
    """Keep one row per key, and return the number of older ones dropped. Equality is that of the columns' types.

    NULL is older than any other value. Identical rows count as one.

    Raises:
        UnstorableValueError: several rows have the same key, and none is the newest.
    """
    duplicate, older, columns = _duplicate_key(connection, staged, keys), 0, [*keys]
    if duplicate is not None and newest is not None:
        older, columns = _drop_superseded(connection, staged, keys, newest), [*keys, newest]
        duplicate = _duplicate_key(connection, staged, columns)
    if duplicate is not None:
        reason = f"several rows have {', '.join(columns)} = {short_repr(tuple(duplicate))}"
        equally_new = "" if newest is None else ", and differ: none is the newest"
        raise UnstorableValueError(str(table), None, None, reason + equally_new)
    return older


def merge_duplicates(
    connection: sa.Connection, staged: sa.TableClause, keys: Sequence[str], options: WriteOptions
) -> int:
    """Keep one row per key, as if the rows came one after the other; return the number of older ones dropped.

    In an insert the first stays; in an upsert the newest, of equally new ones the last.
    """
    if _duplicate_key(connection, staged, keys) is None:
        return 0
    older = 0 if options.newest is None else _drop_older(connection, staged, keys, options.newest)
    of_key = [staged.columns[key] for key in keys]
    order = _ROW_ID.asc() if options.write_mode == "insert" else _ROW_ID.desc()
    _drop(connection, staged, sa.func.row_number().over(partition_by=of_key, order_by=order))
    return older


def _duplicate_key(
    connection: sa.Connection, staged: sa.TableClause, names: Iterable[str]
) -> sa.Row[tuple[object, ...]] | None:
    columns = [staged.columns[name] for name in names]
    several = sa.func.count() > 1
    return connection.execute(sa.select(*columns).group_by(*columns).having(several).limit(1)).first()


def _drop_superseded(
    connection: sa.Connection, staged: sa.TableClause, keys: Sequence[str], newest: str
) -> int:
    older = _drop_older(connection, staged, keys, newest)
    of_key = [staged.columns[key] for key in keys]
    contents = sa.cast(sa.func.row(*staged.columns), sa.Text)
    _drop(connection, staged, sa.func.row_number().over(partition_by=[*of_key, contents]))
    return older


def _drop_older(connection: sa.Connection, staged: sa.TableClause, keys: Sequence[str], newest: str) -> int:
    """Delete the rows of a key that are older than another of it."""
    of_key = [staged.columns[key] for key in keys]
    latest_first = staged.columns[newest].desc().nulls_last()
    return _drop(connection, staged, sa.func.rank().over(partition_by=of_key, order_by=latest_first))


def _drop(connection: sa.Connection, staged: sa.TableClause, number: sa.ColumnElement[int]) -> int:
    """Delete the rows whose number is not 1."""
    numbered = sa.select(_ROW_ID.label("row_id"), number.label("number")).select_from(staged).subquery()
    others = sa.select(numbered.c.row_id).where(numbered.c.number > 1)
    return connection.execute(sa.delete(staged).where(_ROW_ID.in_(others))).rowcount
