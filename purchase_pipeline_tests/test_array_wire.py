"""An array on the wire is the array that PostgreSQL stores."""

import pyarrow as pa
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.write.array_wire import ELEMENTS, array_wire


@pytest.mark.parametrize("base", ELEMENTS)
def test_the_numbers_of_types_are_postgresqls(transaction: sa.Connection, base: str) -> None:
    found = transaction.scalar(sa.select(sa.func.to_regtype(f"pg_catalog.{base}").cast(sa.BigInteger)))

    assert found == ELEMENTS[base]


@pytest.mark.parametrize(
    ("base", "elements", "lists"),
    [
        ("varchar", [["a", None, ""], [], ["é"]], ['{a,NULL,""}', "{}", "{é}"]),
        ("text", [[None], [], [None, None]], ["{NULL}", "{}", "{NULL,NULL}"]),
        ("int4", [[None]], ["{NULL}"]),
    ],
)
def test_an_array_is_sent_as_postgresql_sends_it(
    transaction: sa.Connection, base: str, elements: list[list[str | None]], lists: list[str]
) -> None:
    column = pa.array(elements, pa.list_(pa.string()))

    wires = array_wire(column, column.flatten(), base).to_pylist()

    sent = [
        transaction.scalar(sa.text(f"SELECT array_send(CAST(:one AS {base}[]))"), {"one": one})
        for one in lists
    ]
    assert wires == sent


def test_a_missing_list_has_no_bytes() -> None:
    column = pa.array([None, ["a"], None], pa.list_(pa.string()))

    wires = array_wire(column, column.flatten(), "varchar").to_pylist()

    assert [wire is None for wire in wires] == [True, False, True]


def test_instants_are_counted_from_2000(transaction: sa.Connection) -> None:
    column = pa.array([[0, None]], pa.list_(pa.timestamp("us", "UTC")))

    wires = array_wire(column, column.flatten(), "timestamptz").to_pylist()

    sent = transaction.scalar(sa.text("SELECT array_send(ARRAY[to_timestamp(0), NULL])"))
    assert wires == [sent]
