"""Validation page by page: CSV, values from the request, and what no column can hold."""

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, field_validator

from purchase_pipeline.contracts import FromRequest, Integer, Text
from purchase_pipeline.ingest.formats import NDJSON, Csv, Json, RowFormat
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.ingest.validation import RejectedRow, RowValidation, TooManyRejectsError
from purchase_pipeline_tests.landed import land_page

TODAY = date(2026, 11, 24)


class Reading(BaseModel):
    """A contract for CSV and JSON."""

    model_config = ConfigDict(strict=True, extra="ignore")

    city: Text = Field(validation_alias="município")
    amount: int
    rate: float | None = Field(alias="taxa")
    note: str | None = None
    series: Annotated[Text, FromRequest("series")]


def validated(
    folder: Path,
    contract: type[BaseModel],
    *pages: Page,
    **limits: Any,  # noqa: ANN401  (RowValidation's types)
) -> tuple[list[tuple[Any, ...]], list[RejectedRow]]:
    """Land pages, and validate their rows: return the accepted ones, with row number, and the rejected ones."""
    landing = landing_at(str(folder))
    landed = land_page(landing, "a", *pages)
    validation = RowValidation(
        "a", contract=contract, received=landed.rows, today=TODAY, **{"max_rejected_ratio": 2, **limits}
    )
    with landing.open_rows(landed) as rows:
        accepted = [(int(str(row[1])), *row[2:]) for batch in validation.accepted(rows) for row in batch]
    return accepted, validation.rejected


def a_csv(*lines: str, variables: dict[str, str] | None = None, **settings: Any) -> Page:  # noqa: ANN401  (Csv's types)
    row_format = Csv(**settings)
    text = "".join(f"{line}\n" for line in lines)
    return Page(row_format, [text.encode(row_format.encoding or "utf-8")], variables or {"series": "usd"})


def test_rows_of_csv_are_named_by_the_header(tmp_path: Path) -> None:
    page = a_csv(
        "taxa,extra,município,amount,note", '1.5,x,"São Paulo, SP",7,', ',,"a ""b""\nc",-8,n', ",,Ubá,9,\r"
    )

    assert validated(tmp_path, Reading, page) == (
        [
            (1, "São Paulo, SP", "7", 1.5, None, "usd"),
            (2, 'a "b"\nc', "-8", None, "n", "usd"),
            (3, "Ubá", "9", None, None, "usd"),
        ],
        [],
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"delimiter": ";"},
        {"delimiter": "\t", "encoding": "cp1252"},
        {"header": ("município", "amount", "taxa")},
        {"delimiter": "|", "encoding": "utf-16"},
    ],
)
def test_csv_may_have_another_delimiter_header_or_encoding(tmp_path: Path, settings: dict[str, Any]) -> None:
    lines = [["município", "amount", "taxa"], ["São Paulo", "1", "0.5"]]
    joined = [settings.get("delimiter", ",").join(line) for line in lines]
    page = a_csv(*(joined[1:] if "header" in settings else joined), **settings)

    assert validated(tmp_path, Reading, page) == ([(1, "São Paulo", "1", 0.5, None, "usd")], [])


@pytest.mark.parametrize(
    ("line", "fields", "reason"),
    [
        (
            "x,one,1",
            ["amount"],
            "amount: Input should be a valid integer, unable to parse string as an integer (saw 'one')",
        ),
        (
            "x,,1",
            ["amount"],
            "amount: Input should be a valid integer, unable to parse string as an integer (saw '')",
        ),
        (
            ",1,1",
            ["município"],
            "município: must be non-empty text of at most 1,000 characters, without NUL (saw '')",
        ),
        ("x,1", [], "expected 3 fields, found 2"),
        ("x,1,2,3", [], "expected 3 fields, found 4"),
        ('"x"y,1,2', [], "Invalid CSV: ',' expected after '\"'"),
        ('"x,1,2', [], "Invalid CSV: unexpected end of data"),
        (
            "x\ry,1,2",
            [],
            "Invalid CSV: line end in a field without quotes",
        ),
        (
            "x\udcff,1,2",
            [],
            "Invalid CSV: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte",
        ),
        (
            "x,99999999999999999999,1",
            ["amount"],
            "amount: must be an integer of at most 64 bits (saw 99999999999999999999)",
        ),
        ("x,1,nan", ["taxa"], "taxa: must be a finite number (saw nan)"),
    ],
)
def test_an_invalid_row_of_csv_is_kept_as_sent(
    tmp_path: Path, line: str, fields: list[str], reason: str
) -> None:
    raw = line.encode("utf-8", "surrogateescape")
    body = b"\n".join(["município,amount,taxa".encode(), b"a,1,1", raw, b"b,2,2", b'"c",3,', b""])

    accepted, rejected = validated(tmp_path, Reading, Page(Csv(), [body], {"series": "usd"}))

    assert [row[:2] for row in accepted] == [(1, "a"), (3, "b"), (4, "c")]
    original = raw.decode("utf-8", "backslashreplace")
    assert rejected == [RejectedRow(2, fields, [reason], original, hashlib.sha256(raw).hexdigest())]


def test_every_field_of_a_large_csv_is_read_at_any_chunk_boundary(tmp_path: Path) -> None:
    lines = [f'"cidade ""{n}""\n,",{n},' if n % 3 else f"c{n},{n},{n}.5" for n in range(1_500)]
    raw = "\n".join(["município,amount,taxa", *lines]).encode()
    chunks = [raw[at : at + 97] for at in range(0, len(raw), 97)]

    accepted, rejected = validated(tmp_path, Reading, Page(Csv(), chunks, {"series": "usd"}))

    assert rejected == []
    assert [row[:3] for row in accepted] == [
        (n + 1, f'cidade "{n}"\n,' if n % 3 else f"c{n}", str(n)) for n in range(1_500)
    ]


def test_a_value_from_the_request_is_that_of_the_rows_page(tmp_path: Path) -> None:
    rows = b'{"munic\xc3\xadpio":"x","amount":1,"taxa":null}\n{"munic\xc3\xadpio":"y","amount":2,"taxa":2,"series":7}\n'
    pages = [
        Page(NDJSON, [rows], {"series": "usd", "other": "1"}),
        a_csv("município,amount,taxa", "z,3,", variables={"series": "eur"}),
        Page(NDJSON, [rows], {"serie": "usd"}),
        Page(NDJSON, [rows], {"series": ""}),
    ]

    accepted, rejected = validated(tmp_path, Reading, *pages)

    assert accepted == [
        (1, "x", "1", None, None, "usd"),
        (2, "y", "2", 2.0, None, "usd"),
        (3, "z", "3", None, None, "eur"),
    ]
    assert [row.reasons for row in rejected] == [
        *[["series: the request has no variable series"]] * 2,
        *[["series: must be non-empty text of at most 1,000 characters, without NUL (saw '')"]] * 2,
    ]


def test_a_value_from_the_request_has_the_type_of_its_field(tmp_path: Path) -> None:
    class Numbered(BaseModel):
        model_config = ConfigDict(strict=True)
        series: Annotated[Integer, FromRequest("series")]
        a: Integer

    pages = [Page(NDJSON, [b'{"a":1}\n'], {"series": series}) for series in ("1178", "x")]

    accepted, rejected = validated(tmp_path, Numbered, *pages)

    assert accepted == [(1, "1178", "1")]
    assert [row.fields for row in rejected] == [["series"]]


@pytest.mark.parametrize("row_format", [NDJSON, Csv()])
def test_a_value_from_the_request_may_be_null_in_the_contract(tmp_path: Path, row_format: RowFormat) -> None:
    class Nullable(BaseModel):
        series: Annotated[Integer | None, FromRequest("series")]
        a: int

    body = b'{"a":1}\n' if row_format is NDJSON else b"a\n1\n"

    assert validated(tmp_path, Nullable, Page(row_format, [body], {"series": "7"})) == ([(1, "7", "1")], [])


def test_a_value_from_the_request_that_would_not_be_taken_is_refused() -> None:
    class Within(BaseModel):
        series: Annotated[Integer, FromRequest("series")] | None

    class WithDefault(BaseModel):
        series: Annotated[Integer, FromRequest("series")] = 1

    for contract in (Within, WithDefault):
        with pytest.raises(
            TypeError, match=r"\.series: FromRequest annotates the whole type of a field without"
        ):
            RowValidation("a", contract=contract, received=1, max_rejected_ratio=1, today=TODAY)


def raises(value: str) -> str:
    return value + 1 if value == "bad" else value  # type: ignore[operator]  # as an author's mistake


class Unbounded(BaseModel):
    """A contract without bounds, whose validators have mistakes."""

    text: str = ""
    whole: int = 0
    ratio: float = 0
    exact: Decimal = Decimal(0)
    texts: list[str] = []
    meta: dict[str, Any] = {}
    checked: Annotated[str, AfterValidator(raises)] = ""
    decorated: str = ""

    @field_validator("decorated")
    @classmethod
    def _rule(cls, value: str) -> str:
        return raises(value)


@pytest.mark.parametrize(
    ("raw", "fields", "reason"),
    [
        (r'{"text":"a\u0000"}', ["text"], "text: must not contain NUL (saw 'a\\x00')"),
        (r'{"texts":["a\u0000"]}', ["texts"], "texts: must not contain NUL (saw ['a\\x00'])"),
        (
            '{"whole":9223372036854775808}',
            ["whole"],
            "whole: must be an integer of at most 64 bits (saw 9223372036854775808)",
        ),
        ('{"ratio":NaN}', ["ratio"], "ratio: must be a finite number (saw nan)"),
        ('{"ratio":1e999}', ["ratio"], "ratio: must be a finite number (saw inf)"),
        (
            '{"exact":"1E+131072"}',
            ["exact"],
            "exact: must have at most 131,072 digits before the point and 16,383 after it (saw Decimal('1E+131072'))",
        ),
        ('{"text":"a","text":"b"}', ["text"], "text: must not occur twice in an object"),
        ('{"meta":{"a":[{"b":1,"c":"\\":","b":2}]}}', ["b"], "b: must not occur twice in an object"),
        ('{"meta":{"a":1, "a":NaN}}', ["a"], "a: must not occur twice in an object"),
        (
            '{"checked":"bad","text":"x"}',
            ["checked"],
            """checked: A validator raised TypeError('can only concatenate str (not "int") to str')""",
        ),
        (
            '{"decorated":"bad"}',
            ["decorated"],
            """decorated: A validator raised TypeError('can only concatenate str (not "int") to str')""",
        ),
        (
            '{"decorated":"bad","checked":"bad"}',
            [],
            """A validator raised TypeError('can only concatenate str (not "int") to str')""",
        ),
    ],
)
def test_what_a_column_cannot_hold_is_a_reason_of_that_row(
    tmp_path: Path, raw: str, fields: list[str], reason: str
) -> None:
    body = f'{{"text":"a: \\": b"}}\n{raw}\n{{"whole":9223372036854775807,"meta":{{"a":{{"a":1}}}}}}\n'

    accepted, rejected = validated(tmp_path, Unbounded, Page(NDJSON, [body.encode()]))

    assert [row[0] for row in accepted] == [1, 3]
    assert [(row.row_number, row.fields, row.reasons) for row in rejected] == [(2, fields, [reason])]


def test_the_fast_path_leaves_what_a_column_cannot_hold(tmp_path: Path) -> None:
    class Plain(BaseModel):
        a: str
        meta: dict[str, Any]
        n: int

    good = b'{"a":"x","meta":{},"n":1}'
    bad = [
        b'{"a":"\\u0000","meta":{},"n":1}',
        b'{"a":"x","meta":{"k":1 ,"k":2},"n":1}',
        b'{"a":"x", "meta":{"k":1,"k":2}, "n":1}',
        b'{"a":"x","meta":{},"n":9223372036854775808}',
    ]
    body = b"\n".join(each for one in bad for each in (good, one)) + b"\n"

    accepted, rejected = validated(tmp_path, Plain, Page(NDJSON, [body]))

    assert [row[0] for row in accepted] == [1, 3, 5, 7]
    assert [row.fields for row in rejected] == [["a"], ["k"], ["k"], ["n"]]


@pytest.mark.parametrize("row_format", [NDJSON, Json(rows="items"), Csv()])
def test_no_rows_are_a_valid_partition(tmp_path: Path, row_format: RowFormat) -> None:
    body = {"ndjson": b"", "json": b'{"items":[]}', "csv": b"a,b\n"}[row_format.type]

    assert validated(tmp_path, Reading, Page(row_format, [body]), max_rejected_ratio=0.01) == ([], [])


@pytest.mark.parametrize(("bad", "fails"), [(2, False), (3, True)])
def test_few_rejects_do_not_fail_a_small_partition(tmp_path: Path, bad: int, *, fails: bool) -> None:
    page = Page(NDJSON, [b'{"whole":1}\n' + b'{"whole":"x"}\n' * bad])
    limits = {"max_rejected_ratio": 0.05, "min_rejected_rows": 3}

    if fails:
        with pytest.raises(TooManyRejectsError, match="a: 3 of the first 4 rows were rejected"):
            validated(tmp_path, Unbounded, page, **limits)
    else:
        assert len(validated(tmp_path, Unbounded, page, **limits)[1]) == bad


def test_a_column_of_csv_may_have_one_of_several_names(tmp_path: Path) -> None:
    class Aliased(BaseModel):
        model_config = ConfigDict(populate_by_name=True, extra="forbid")
        a: int | None = Field(validation_alias=AliasChoices("A", "á"))

    pages = [Page(Csv(), [f"{name}\n1\n\n".encode()]) for name in ("A", "á", "a", "b")]

    accepted, rejected = validated(tmp_path, Aliased, *pages)

    assert accepted == [(1, "1"), (2, "1"), (3, "1")]
    assert [row.reasons for row in rejected] == [["b: Extra inputs are not permitted (saw '1')"]]
