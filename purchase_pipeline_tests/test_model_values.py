"""Enum members and nested values are stored as their columns' values."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import AliasPath, BaseModel, ConfigDict, Field, create_model

from purchase_pipeline.contracts import Date, DecimalOf, Moment, Money, Text
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres.frames.model_values import converters_from_model
from purchase_pipeline.postgres.schema.models import columns_from_model
from purchase_pipeline.postgres.write.copy import copy_rows


class Size(Enum):
    """A parcel's size."""

    SMALL = "small"


class Grade(IntEnum):
    """A parcel's grade."""

    FIRST = 1


class Kind(StrEnum):
    """A parcel's kind."""

    BOX = "box"


class Item(BaseModel):
    """Something in a parcel."""

    model_config = ConfigDict(strict=True)

    sku: Text = Field(validation_alias="id")
    price: Money
    weight: DecimalOf(30, 10) | None = None  # type: ignore[valid-type]  # called
    made: Date | None = None
    size: Size | None = None


ITEM = (
    '{"id": "a", "price": 1.50, "weight": "12345678901234567.0123456789", '
    '"made": "2026-01-05", "size": "small"}'
)
STORED_ITEM = (
    '{"sku": "a", "made": "2026-01-05", "size": "small", "price": 1.5, '
    '"weight": 12345678901234567.0123456789}'
)


def stored(connection: sa.Connection, annotation: Any, text: str) -> Any:  # noqa: ANN401
    """Return as PostgreSQL text what becomes of a JSON text in a field of that type."""
    model = create_model("Parcel", __config__=ConfigDict(strict=True), x=(annotation, ...))
    table = sa.Table("parcels", sa.MetaData(), *columns_from_model(model), prefixes=["TEMPORARY"])
    table.create(connection)
    row: Any = model.model_validate_json(f'{{"x": {text}}}')
    value = converters_from_model(model).get("x", lambda same: same)(row.x)
    copy_rows(connection, table, ["x"], [(value,)])
    return connection.scalar(sa.text("SELECT x::text FROM parcels"))


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (Size, '"small"', "small"),
        (Size | None, '"small"', "small"),
        (Size | None, "null", None),
        (Grade, "1", "1"),
        (Kind, '"box"', "box"),
        (Literal["a", "b"], '"b"', "b"),
        (Literal["a", None], "null", None),  # noqa: PYI061  # as pydantic accepts it
        (list[Size], '["small", "small"]', "{small,small}"),
        (list[Size | None] | None, '["small", null]', "{small,NULL}"),
        (list[Text], '["a", "b,c"]', '{a,"b,c"}'),
        (list[Date], '["2026-01-05"]', "{2026-01-05}"),
        (list[Annotated[Decimal, Field(max_digits=5, decimal_places=2)]], '["1.5", 2]', "{1.50,2.00}"),
        (Item, ITEM, STORED_ITEM),
        (Item | None, "null", None),
        (list[Item], f"[{ITEM}, {ITEM}]", f"[{STORED_ITEM}, {STORED_ITEM}]"),
        (list[Item], "[]", "[]"),
        (dict[str, Item], f'{{"a": {ITEM}}}', f'{{"a": {STORED_ITEM}}}'),
        (
            dict[str, Any],
            '{"b": [1, 1e16, "\\\\u0000", null]}',
            '{"b": [1, 10000000000000000.0, "\\\\u0000", null]}',
        ),
        (dict[str, Moment], '{"a": "2026-01-05T09:00:00+01:00"}', '{"a": "2026-01-05T09:00:00+01:00"}'),
        (dict[str, Decimal], '{"a": 1.50, "b": 2}', '{"a": 1.5, "b": 2}'),
        (list[list[Size]], '[["small"]]', '[["small"]]'),
        (list[Any], '[1, "a", {"b": null}]', '[1, "a", {"b": null}]'),
        (Any, '"text"', '"text"'),
        (Any, "null", None),
        (Any, "false", "false"),
    ],
)
def test_a_value_is_stored_as_its_column_has_it(
    transaction: sa.Connection,
    annotation: Any,  # noqa: ANN401
    text: str,
    expected: str | None,
) -> None:
    assert stored(transaction, annotation, text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "\\u0000"}', "cannot store NUL"),
        ('{"a": "b\\u0000"}', "cannot store NUL"),
        ('{"\\u0000": 1}', "cannot store NUL"),
        ('{"a": 1e999}', "cannot store NaN and infinity"),
        ('{"a": NaN}', "cannot store NaN and infinity"),
    ],
)
def test_what_jsonb_cannot_store_is_refused(text: str, words: str) -> None:
    model = create_model("Parcel", x=(dict[str, Any], ...))
    row: Any = model.model_validate_json(f'{{"x": {text}}}')

    with pytest.raises(ValueError, match=words):
        converters_from_model(model)["x"](row.x)


def test_a_nul_beside_a_decimal_is_refused() -> None:
    model = create_model("Parcel", x=(dict[str, Any], ...))

    with pytest.raises(ValueError, match="cannot store NUL"):
        converters_from_model(model)["x"]({"a": Decimal(1), "b": "\x00"})


def test_python_values_become_json() -> None:
    convert = converters_from_model(create_model("Parcel", x=(Any, ...)))["x"]

    assert convert({"a": (UUID(int=1), date(2026, 1, 5)), "b": datetime(2026, 1, 5, tzinfo=UTC)}) == (
        '{"a": ["00000000-0000-0000-0000-000000000001", "2026-01-05"], "b": "2026-01-05T00:00:00Z"}'
    )


def test_other_fields_need_no_conversion() -> None:
    model = create_model(
        "Parcel",
        label=(Text, ...),
        tags=(list[str], ...),
        city=(Text, Field(validation_alias=AliasPath("address", "city"))),
    )

    assert converters_from_model(model) == {}


def test_a_row_of_nested_values_is_validated_into_what_copy_takes() -> None:
    contract = create_model(
        "Parcel",
        __config__=ConfigDict(strict=True),
        size=(Size, ...),
        sizes=(list[Size], ...),
        item=(Item, ...),
        items=(list[Item], ...),
        extra=(dict[str, Any] | None, None),
    )
    head = f'"size": "small", "sizes": ["small"], "item": {ITEM}, "items": [{ITEM}]'
    rows = [
        f"{{{head}}}",
        f'{{{head}, "extra": {{"a": 1e999}}}}',
        f'{{{head}, "extra": {{"a": "\\u0000"}}}}',
        f'{{{head}, "extra": {{"a": 1}}}}',
    ]
    validation = RowValidation(
        "a", received=4, max_rejected_ratio=2, today=date(2026, 1, 5), contract=contract
    )

    (accepted,) = validation.accepted(row.encode() for row in rows)

    head_values = ("small", ["small"], STORED_ITEM, f"[{STORED_ITEM}]")
    assert [(row[1], [sorted_json(value) for value in row[2:]]) for row in accepted] == [
        (linha, [sorted_json(value) for value in (*head_values, extra)])
        for linha, extra in (("1", None), ("4", '{"a": 1}'))
    ]
    assert [(row.row_number, row.fields, row.reasons) for row in validation.rejected] == [
        (2, ["extra"], ["extra: PostgreSQL cannot store NaN and infinity in JSON (saw {'a': inf})"]),
        (3, ["extra"], ["extra: PostgreSQL cannot store NUL in JSON (saw {'a': '\\x00'})"]),
    ]


def sorted_json(value: Any) -> Any:  # noqa: ANN401
    """Return JSON text with its keys in order, and anything else as it is."""
    if not isinstance(value, str) or value[:1] not in "{[":
        return value
    return json.dumps(json.loads(value, parse_float=Decimal), sort_keys=True, default=str)
