"""Values: an asset is given what the one before it gave, to the last digit."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from math import inf

from purchase_pipeline_tests.conformance.subject import Subject
from purchase_pipeline_tests.conformance.table_under_test import Table, expect

_BOTH = (True, False)
_BRASILIA = timezone(timedelta(hours=-3))


def integers_keep_their_64_bits(subject: Subject) -> None:
    _expect_kept(subject, -(2**63), -1, 0, 2**63 - 1)


def integers_beside_missing_ones_keep_their_64_bits(subject: Subject) -> None:
    _expect_kept(subject, 2**53 + 1, None, 2**63 - 1)


def booleans_are_kept(subject: Subject) -> None:
    _expect_kept(subject, *_BOTH)


def booleans_beside_missing_ones_are_kept(subject: Subject) -> None:
    _expect_kept(subject, None, *_BOTH)


def floats_are_kept(subject: Subject) -> None:
    _expect_kept(subject, 0.1, -0.0, 5e-324, 1.7976931348623157e308, inf, -inf, None)


def decimals_are_kept(subject: Subject) -> None:
    _expect_kept(subject, Decimal("0.10"), Decimal("-12345678901234567890.12"), None)


def texts_of_any_characters_are_kept(subject: Subject) -> None:
    _expect_kept(subject, "a\tb", "a\nb", "a\r\nb", "it's", '"quoted"', "a\\b", "{1,2}", "maçã 🍎", " a ")


def an_empty_text_is_not_a_missing_one(subject: Subject) -> None:
    _expect_kept(subject, "", None, "NULL", "None", "nan", "\\N", "\\.")


def bytes_are_kept(subject: Subject) -> None:
    _expect_kept(subject, bytes(range(256)), b"", None, b"\\x00")


def dates_from_year_1_to_9999_are_kept(subject: Subject) -> None:
    _expect_kept(subject, date(1, 1, 1), date(1969, 12, 31), None, date(9999, 12, 31))


def naive_timestamps_keep_their_microseconds(subject: Subject) -> None:
    moments = ("0001-01-01 00:00:00", "2024-02-29 23:59:59.999999", "9999-12-31 12:00:00")

    _expect_kept(subject, None, *map(datetime.fromisoformat, moments))


def zoned_timestamps_keep_their_instant(subject: Subject) -> None:
    _expect_kept(
        subject,
        datetime(2024, 2, 29, 23, 59, 59, 999_999, _BRASILIA),
        None,
        datetime(1900, 1, 1, tzinfo=_BRASILIA),
    )


def dicts_are_kept(subject: Subject) -> None:
    _expect_kept(subject, {"name": "maçã", "sizes": [1, 2]}, None, {"name": "it's\t\\N", "sizes": []})


def lists_of_integers_are_kept(subject: Subject) -> None:
    _expect_kept(subject, [1, 2**53 + 1], [], None, [-3])


def lists_of_texts_are_kept(subject: Subject) -> None:
    _expect_kept(subject, ["a", "it's", '"', "\\", "{,}"], [], None, ["", "NULL"])


def a_column_of_nothing_but_missing_values_is_kept(subject: Subject) -> None:
    _expect_kept(subject, None, None)


def column_names_of_any_characters_are_kept(subject: Subject) -> None:
    names = [
        "order",
        "Unit Price",
        "it's",
        'say "hi"',
        "100%",
        "%s",
        "a\\b",
        "a.b",
        ":name",
        "maçã",
        "UPPER",
        "upper_",
    ]
    columns = {name: [number] for number, name in enumerate(names)}
    fruits = Table(subject=subject)
    fruits.write(columns)

    frame = fruits.read(upstream=fruits.asset(subject.make_frame(columns)))

    assert list(subject.columns_of(frame)) == names, subject.columns_of(frame)
    expect(subject.rows_of(frame), columns)


def _expect_kept(subject: Subject, *values: object) -> None:
    """Assert that the values are read as they were written, into a new table, then into one that stands."""
    fruits = Table(subject=subject)
    columns = {"id": range(len(values)), "value": values}
    fruits.write(columns)

    frame = fruits.read(upstream=fruits.asset(subject.make_frame(columns)))

    kept = {row["id"]: row["value"] for row in subject.rows_of(frame)}
    found = [kept.get(number, "nothing") for number in columns["id"]]
    assert list(map(_exact, found)) == list(map(_exact, values)), f"found {found}; wanted {values}"


def _exact(value: object) -> object:
    """Tell 1 from True, and 0.0 from -0.0."""
    return repr(value) if isinstance(value, bool | float) else value
