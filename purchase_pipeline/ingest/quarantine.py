"""Queries on the quarantine: rejected rows and their reasons."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS
from purchase_pipeline.ingest.validation import PARTICULARS

Grouping = Literal["reason", "field", "lote"]

_TABLE = COMPRAS_REJEITADAS.c
_WHOLE_ROW = "(the whole row)"


class RejectGroup(NamedTuple):
    """Rejected rows with the same reason, field or batch; `example` names the first one."""

    what: str
    rows: int
    lots: int
    example: str


class Quarantine:
    """Reads `compras_rejeitadas`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def rows(self, lote: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Return rejected rows ordered by batch and row number; of one batch, up to a limit, if given."""
        query = sa.select(COMPRAS_REJEITADAS).order_by(_TABLE.lote, _TABLE.linha).limit(limit)
        names = COMPRAS_REJEITADAS.columns.keys()
        return [dict(zip(names, row, strict=True)) for row in self._read(query, lote)]

    def count(self, lote: str | None = None) -> int:
        """Return the number of rejected rows."""
        found = self._read(sa.select(sa.func.count()).select_from(COMPRAS_REJEITADAS), lote)
        return sum(count for (count,) in found)

    def grouped(self, by: Grouping, lote: str | None = None) -> list[RejectGroup]:
        """Return the groups by reason (without the values seen), field or batch, largest first.

        A row with several reasons is in several groups.
        """
        what, source = _of(by)
        example = sa.func.array_agg(
            aggregate_order_by(
                sa.func.concat(_TABLE.lote, " linha ", _TABLE.linha), _TABLE.lote, _TABLE.linha
            )
        )
        rows = sa.func.count(sa.tuple_(_TABLE.lote, _TABLE.linha).distinct())
        query = (
            sa.select(what.label("what"), rows, sa.func.count(_TABLE.lote.distinct()), example[1])
            .select_from(source)
            .group_by("what")
            .order_by(rows.desc(), "what")
        )
        return [RejectGroup._make(row) for row in self._read(query, lote)]

    def _read(self, query: sa.Select[Any], lote: str | None) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table(COMPRAS_REJEITADAS.name):
                return []
            return connection.execute(query if lote is None else query.where(_TABLE.lote == lote)).all()


def _of(by: Grouping) -> tuple[sa.ColumnElement[str], sa.FromClause]:
    """Return the grouping expression and its FROM clause."""
    if by == "lote":
        return _TABLE.lote, COMPRAS_REJEITADAS
    each = (
        sa.func.unnest(_TABLE.reasons if by == "reason" else _TABLE.fields)
        .table_valued("each")
        .render_derived()
    )
    what = sa.func.coalesce(sa.func.regexp_replace(each.c.each, PARTICULARS, ""), _WHOLE_ROW)
    return what, COMPRAS_REJEITADAS.join(each, sa.true(), isouter=True)
