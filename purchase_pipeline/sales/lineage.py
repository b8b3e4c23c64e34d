"""Column lineage of a query: the source columns of each of its columns."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.sql.visitors import iterate


def column_lineage(query: sa.SelectBase) -> dg.TableColumnLineage:
    """Return the lineage of a query whose tables are assets of the same name; a row count has none."""
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
    """Yield the table columns that an expression uses, directly or through subqueries."""
    for element in iterate(expression):
        if isinstance(element, sa.Column) and isinstance(element.table, sa.Table):
            yield element
        elif isinstance(element, sa.ColumnClause) and isinstance(element.table, sa.Subquery):
            yield from _sources(element.table.element.selected_columns[element.name])
