"""Values: what is stored and read is what was handed over, to the last digit, or it is refused."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from math import inf

from io_manager_conformance.subject import Columns, Subject
from io_manager_conformance.table_under_test import Table, expect

_BOTH = (True, False)
_BRASILIA = timezone(timedelta(hours=-3))


def integers_keep_their_64_bits(subject: Subject) -> None:
    """Integers of 64 bits are kept to the last one: identifiers need all of them."""
    _expect_kept(subject, -(2**63), -1, 0, 2**63 - 1)


def integers_beside_missing_ones_keep_their_64_bits(subject: Subject) -> None:
    """A missing value next to them does not turn integers into floats, which have 53 bits."""
    _expect_kept(subject, 2**53 + 1, None, 2**63 - 1)


def booleans_are_kept(subject: Subject) -> None:
    """Booleans are read as booleans."""
    _expect_kept(subject, *_BOTH)


def booleans_beside_missing_ones_are_kept(subject: Subject) -> None:
    """Booleans next to a missing value are read as booleans and a missing value."""
    _expect_kept(subject, None, *_BOTH)


def floats_are_kept(subject: Subject) -> None:
    """Floats are kept to the last bit, with -0.0, subnormal numbers and infinities."""
    _expect_kept(subject, 0.1, -0.0, 5e-324, 1.7976931348623157e308, inf, -inf, None)


def decimals_are_kept(subject: Subject) -> None:
    """Decimals are kept to the last digit, and do not become floats: they are amounts of money."""
    _expect_kept(subject, Decimal("0.10"), Decimal("-12345678901234567890.12"), None)


def texts_of_any_characters_are_kept(subject: Subject) -> None:
    """Tabs, line ends, quotes, backslashes and characters beyond ASCII are kept, because texts come from people."""
    _expect_kept(subject, "a\tb", "a\nb", "a\r\nb", "it's", '"quoted"', "a\\b", "{1,2}", "maçã 🍎", " a ")


def an_empty_text_is_not_a_missing_one(subject: Subject) -> None:
    """An empty text, and texts that spell a missing value in some format, are kept apart from a missing value."""
    _expect_kept(subject, "", None, "NULL", "None", "nan", "\\N", "\\.")


def bytes_are_kept(subject: Subject) -> None:
    """Bytes are kept, each of the 256, and are not read as text."""
    _expect_kept(subject, bytes(range(256)), b"", None, b"\\x00")


def dates_from_year_1_to_9999_are_kept(subject: Subject) -> None:
    """Dates are read as dates, in the whole range of Python's: placeholders like 9999-12-31 are common."""
    _expect_kept(subject, date(1, 1, 1), date(1969, 12, 31), None, date(9999, 12, 31))


def naive_timestamps_keep_their_microseconds(subject: Subject) -> None:
    """Timestamps without a zone keep their microseconds, and get no zone."""
    moments = ("0001-01-01 00:00:00", "2024-02-29 23:59:59.999999", "9999-12-31 12:00:00")

    _expect_kept(subject, None, *map(datetime.fromisoformat, moments))


def zoned_timestamps_keep_their_instant(subject: Subject) -> None:
    """Timestamps with a zone are read as the same instants, whatever the zone of the session."""
    _expect_kept(
        subject,
        datetime(2024, 2, 29, 23, 59, 59, 999_999, _BRASILIA),
        None,
        datetime(1900, 1, 1, tzinfo=_BRASILIA),
    )


def dicts_are_kept(subject: Subject) -> None:
    """Dicts are read as dicts."""
    _expect_kept(subject, {"name": "maçã", "sizes": [1, 2]}, None, {"name": "it's\t\\N", "sizes": []})


def lists_of_integers_are_kept(subject: Subject) -> None:
    """Lists of integers are read as lists, an empty one apart from a missing one."""
    _expect_kept(subject, [1, 2**53 + 1], [], None, [-3])


def lists_of_texts_are_kept(subject: Subject) -> None:
    """Lists of texts are read as lists, whatever characters the texts have."""
    _expect_kept(subject, ["a", "it's", '"', "\\", "{,}"], [], None, ["", "NULL"])


def a_column_of_nothing_but_missing_values_is_kept(subject: Subject) -> None:
    """A column that has no value yet is stored and read, because optional fields are empty at first."""
    _expect_kept(subject, None, None)


def a_text_with_nul_is_kept_or_refused(subject: Subject) -> None:
    """A text with a NUL character, which some databases cannot store, is kept or refused, not cut or cleaned."""
    _expect_kept_or_refused(subject, {"value": ["a"]}, {"value": ["a\0b"]})


def a_fraction_for_a_column_of_integers_is_kept_or_refused(subject: Subject) -> None:
    """1.5 for an existing column of integers is kept or refused, because a cast would round it without a word."""
    _expect_kept_or_refused(subject, {"value": [1]}, {"value": [1.5]})


def column_names_of_any_characters_are_kept(subject: Subject) -> None:
    """Names of columns are kept as they are, because they come from files and APIs."""
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
    """Assert that the values are read as they were written, into a new table, then into an existing one."""
    fruits = Table(subject=subject)
    columns = {"id": range(len(values)), "value": values}
    fruits.write(columns)

    frame = fruits.read(upstream=fruits.asset(subject.make_frame(columns)))

    kept = {row["id"]: row["value"] for row in subject.rows_of(frame)}
    found = [kept.get(number, "nothing") for number in columns["id"]]
    assert list(map(_exact, found)) == list(map(_exact, values)), f"found {found}; wanted {values}"


def _expect_kept_or_refused(subject: Subject, old: Columns, new: Columns) -> None:
    """Assert that the new rows are stored as they are, or that the write fails and the old ones stay."""
    fruits = Table(subject=subject)
    fruits.write(old)

    said = fruits.attempt(subject.make_frame(new))

    expect(fruits.stored(), old if said else new)


def _exact(value: object) -> object:
    """Tell 1 from True, and 0.0 from -0.0."""
    return repr(value) if isinstance(value, bool | float) else value
