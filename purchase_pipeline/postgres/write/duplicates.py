"""Staged rows of the same keys: the newest stays, or they are refused by name. So are keys that are NULL."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import UnstorableValueError
from purchase_pipeline.postgres.schema.types import short_repr

_PLACE: sa.ColumnElement[str] = sa.literal_column("ctid")


def null_keys(connection: sa.Connection, staged: sa.TableClause, keys: Sequence[str]) -> dict[str, int]:
    """Return in how many rows a key is NULL, for those keys that are so somewhere."""
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
    """Leave one row of each key, and return how many older ones are gone; equal is what the columns' types see so.

    A row without a time, NULL, is older than any other. Rows that are the same to the letter count as one.

    Raises:
        UnstorableValueError: several rows of the same keys, none of them the newest.
    """
    double, older, told = _double(connection, staged, keys), 0, [*keys]
    if double is not None and newest is not None:
        older, told = _drop_superseded(connection, staged, keys, newest), [*keys, newest]
        double = _double(connection, staged, told)
    if double is not None:
        reason = f"several rows have {', '.join(told)} = {short_repr(tuple(double))}"
        equally_new = "" if newest is None else ", and differ: none of them is the newest"
        raise UnstorableValueError(str(table), None, None, reason + equally_new)
    return older


def _double(
    connection: sa.Connection, staged: sa.TableClause, names: Iterable[str]
) -> sa.Row[tuple[object, ...]] | None:
    columns = [staged.columns[name] for name in names]
    several = sa.func.count() > 1
    return connection.execute(sa.select(*columns).group_by(*columns).having(several).limit(1)).first()


def _drop_superseded(
    connection: sa.Connection, staged: sa.TableClause, keys: Sequence[str], newest: str
) -> int:
    of_key = [staged.columns[key] for key in keys]
    latest_first = staged.columns[newest].desc().nulls_last()
    older = _drop(connection, staged, sa.func.rank().over(partition_by=of_key, order_by=latest_first))
    contents = sa.cast(sa.func.row(*staged.columns), sa.Text)
    _drop(connection, staged, sa.func.row_number().over(partition_by=[*of_key, contents]))
    return older


def _drop(connection: sa.Connection, staged: sa.TableClause, number: sa.ColumnElement[int]) -> int:
    """Delete the rows whose number is not 1."""
    numbered = sa.select(_PLACE.label("place"), number.label("number")).select_from(staged).subquery()
    others = sa.select(numbered.c.place).where(numbered.c.number > 1)
    return connection.execute(sa.delete(staged).where(_PLACE.in_(others))).rowcount
