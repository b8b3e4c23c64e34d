"""A pydantic model's fields become columns that hold all that the model lets through."""

from datetime import date
from decimal import Decimal
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, Field, PastDate

from purchase_pipeline.postgres.models import columns_from_model
from purchase_pipeline.postgres.tables import create_if_missing, placed


class Parcel(BaseModel):
    """One field of each kind."""

    label: str = Field(max_length=10, description="Written on it")
    pieces: int = Field(ge=1, le=100)
    grams: int
    value: Decimal = Field(max_digits=12, decimal_places=2)
    sent: date
    made: PastDate
    note: str = ""


def test_each_field_has_its_column() -> None:
    columns = columns_from_model(Parcel)

    assert [(column.name, str(column.type), column.nullable, column.comment) for column in columns] == [
        ("label", "TEXT", False, "Written on it"),
        ("pieces", "INTEGER", False, None),
        ("grams", "BIGINT", False, None),
        ("value", "NUMERIC(12, 2)", False, None),
        ("sent", "DATE", False, None),
        ("made", "DATE", False, None),
        ("note", "TEXT", True, None),
    ]


def test_a_type_without_a_column_is_refused_by_name() -> None:
    class Odd(BaseModel):
        shape: complex

    with pytest.raises(TypeError, match="Field 'shape': no column type for <class 'complex'>"):
        columns_from_model(Odd)


def test_many_writers_at_once_create_a_table_and_its_schema_once(engine: sa.Engine) -> None:
    table = placed(sa.Table("parcels", sa.MetaData(), *columns_from_model(Parcel)), "depot", "parcels")
    writers = 8
    start, failures = Barrier(writers), list[Exception]()

    def create() -> None:
        start.wait()
        try:
            with engine.begin() as connection:
                create_if_missing(connection, [table])
        except sa.exc.SQLAlchemyError as error:
            failures.append(error)

    threads = [Thread(target=create) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sa.inspect(engine).get_table_names("depot") == ["parcels"]
