"""Which columns of which tables each column of a query is computed from."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.sql.visitors import iterate


def column_lineage(query: sa.SelectBase) -> dg.TableColumnLineage:
    """Return the lineage of a query over tables that are assets of the same name; a count of rows has none."""
    found = defaultdict[str, set[tuple[str, str]]](set)
    for select in query.selects if isinstance(query, sa.CompoundSelect) else [query]:
        for column in select.selected_columns:
            if sources := {(source.table.name, source.name) for source in _sources(column)}:
                found[str(column.key)] |= sources
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey(table), source) for table, source in sorted(sources)]
            for name, sources in found.items()
        }
    )


def _sources(expression: sa.ColumnElement[Any]) -> Iterator[sa.Column[Any]]:
    """Yield the tables' columns that an expression names, also through the subqueries that it names."""
    for element in iterate(expression):
        if isinstance(element, sa.Column) and isinstance(element.table, sa.Table):
            yield element
        elif isinstance(element, sa.ColumnClause) and isinstance(element.table, sa.Subquery):
            yield from _sources(element.table.element.selected_columns[element.name])
