"""Comparison of a landed partition's rows with a table into which they were merged by keys."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.postgres.write.copy import copy_rows
from purchase_pipeline.postgres.write.staging import staging_table


def merged_differences(
    connection: sa.Connection, tables: FeedTables, rows: Iterable[Sequence[Any]]
) -> Mapping[str, list[int]]:
    """Return the numbers of rows that are not in the table as they should be, by problem.

    A row's key must be there. Its values may be those of a newer version, or in an insert of an earlier one, unless the
    table says that they are from this very row. Rows are staged in a temporary table: roll the transaction back.

    Args:
        connection: in a transaction that may write.
        tables: the feed's tables.
        rows: partition, row number and fields, as validation gives them.
    """
    table, write = tables.accepted, tables.write
    columns = [column for column in table.columns if column.identity is None]
    staged = staging_table(connection, table, columns)
    copy_rows(connection, staged, [column.name for column in columns], rows)
    same_key = sa.and_(*(table.columns[key] == staged.columns[key] for key in write.keys))
    fields = [name for name in tables.contract.model_fields if name not in write.keys]
    differ = sa.func.record_image_ne(
        *(sa.func.row(*(of.columns[name] for name in fields)) for of in (staged, table))
    )
    origin = [tables.partition, tables.row_number]
    from_it = sa.and_(*(table.columns[name] == staged.columns[name] for name in origin))
    older: sa.ColumnElement[bool] = sa.false()
    as_new: sa.ColumnElement[bool] = sa.true()
    if write.newest is not None:
        known, given = table.columns[write.newest], staged.columns[write.newest]
        older = sa.or_(known < given, sa.and_(known.is_(None), given.is_not(None)))
        as_new = known.is_not_distinct_from(given)
    problems = {
        "missing": table.columns[write.keys[0]].is_(None),
        "different from the file": sa.and_(differ, from_it, as_new),
        "older than the file": sa.and_(differ, older),
    }
    pairs = staged.outerjoin(table, same_key)
    number = staged.columns[tables.row_number]
    found = {
        problem: list(connection.scalars(sa.select(number).select_from(pairs).where(wrong).order_by(number)))
        for problem, wrong in problems.items()
    }
    staged.drop(connection, checkfirst=False)
    return found
