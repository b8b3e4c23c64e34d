"""Tables from declarations: a pydantic model's fields as columns, a declared table as one that exists."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, PastDate
from pydantic.fields import FieldInfo
from sqlalchemy.types import TypeEngine

from purchase_pipeline.postgres.locks import hold_until_commit

_LARGEST_INTEGER = 2**31 - 1


def columns_from_model(model: type[BaseModel]) -> list[sa.Column[Any]]:
    """Return one column a field, in order, with the field's description as its comment.

    Texts become TEXT whatever their bound: a bound is the contract's to change, not a migration's. Integers become
    INTEGER where the model bounds them to it, else BIGINT; decimals NUMERIC with the model's digits.

    Raises:
        TypeError: a field of a type that has no column type here.
    """
    return [
        sa.Column(
            name, _column_type(name, field), nullable=not field.is_required(), comment=field.description
        )
        for name, field in model.model_fields.items()
    ]


def _column_type(name: str, field: FieldInfo) -> TypeEngine[Any]:
    if field.annotation is str:
        return sa.Text()
    if field.annotation in {date, PastDate}:
        return sa.Date()
    if field.annotation is int:
        bounded = (_bound(field, "le") or _LARGEST_INTEGER + 1) <= _LARGEST_INTEGER
        return sa.Integer() if bounded else sa.BigInteger()
    if field.annotation is Decimal:
        return sa.Numeric(_bound(field, "max_digits"), _bound(field, "decimal_places"))
    raise TypeError(f"Field {name!r}: no column type for {field.annotation!r}.")


def _bound(field: FieldInfo, name: str) -> int | None:
    return next((getattr(item, name) for item in field.metadata if hasattr(item, name)), None)


def placed(table: sa.Table, schema: str, name: str) -> sa.Table:
    """Return the same declaration under another schema and name."""
    return table.to_metadata(sa.MetaData(), schema=schema, name=name)


def create_if_missing(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Create the tables, and their schemas, that do not exist; two writers at once create them once."""
    for table in tables:
        if sa.inspect(connection).has_table(table.name, schema=table.schema):
            continue
        # IF NOT EXISTS alone still fails when two transactions create the same name at once.
        hold_until_commit(connection, "create", table.schema, table.name)
        if table.schema is not None:
            connection.execute(sa.schema.CreateSchema(table.schema, if_not_exists=True))
        table.create(connection, checkfirst=True)
