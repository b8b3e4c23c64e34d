"""The columns of a new feed, by the values of its rows."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from purchase_pipeline.feeds.new.kinds import Kind, Kinds, is_id
from purchase_pipeline.feeds.new.names import column_names
from purchase_pipeline.ingest.formats import Csv, RowFormat

_DEEPEST, _MOST_MEMBERS = 3, 20
_FEW_VALUES = 20


class Column(NamedTuple):
    """A column: its name, the path of its value in a row, its type, the values seen, the number of rows."""

    name: str
    path: tuple[str, ...]
    kind: Kind
    values: Sequence[Any]
    rows: int

    @property
    def is_optional(self) -> bool:
        """Whether a row has no value."""
        return len(self.values) < self.rows

    @property
    def sure(self) -> Literal["sure", "likely", "guess"]:
        """How sure the type is."""
        if self.kind.note:
            return "guess"
        return "sure" if len(self.values) >= _FEW_VALUES else "likely"

    @property
    def yaml(self) -> str:
        """The type in YAML, with where the value is."""
        where = f" from {'.'.join(self.path)}" if self.path != (self.name,) else ""
        return f"{self.kind.yaml}{'?' * self.is_optional}{where}"


def columns_of(rows: Sequence[dict[str, Any]], row_format: RowFormat) -> list[Column]:
    """Return the columns of rows."""
    is_csv = isinstance(row_format, Csv)
    # A semicolon separates the fields where numbers have commas.
    kinds = Kinds(is_csv=is_csv, has_commas=getattr(row_format, "delimiter", "") == ";")
    members = dict(_members(rows))
    found = []
    for name, (path, values) in zip(column_names(members), members.items(), strict=True):
        seen = [value for value in values if value is not None and not (is_csv and value == "")]
        found.append(Column(name, path, kinds.of(name, seen), seen, len(rows)))
    return found


def keys_of(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with unique values, which may be the key, first those that are named as ids."""
    keys = [
        column
        for column in columns
        if column.kind.yaml in {"uuid", "bigint", "text"}
        and 1 < len(column.values) == column.rows == len({*column.values})
    ]
    return sorted(keys, key=lambda column: column.kind.yaml == "text" and not is_id(column.name))


def _members(
    rows: Sequence[dict[str, Any]], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Yield the path and the values of each member, also within objects."""
    for name in dict.fromkeys(name for row in rows for name in row if name):
        values = [row.get(name) for row in rows]
        if len(path) < _DEEPEST - 1 and _are_records(name, [value for value in values if value is not None]):
            yield from _members([value or {} for value in values], (*path, name))
        else:
            yield (*path, name), values


def _are_records(name: str, values: Sequence[Any]) -> bool:
    """Return whether values are objects with much the same members, not a mapping from days to numbers.

    Dots part the names of a path, so no name may have one.
    """
    if not values or not all(isinstance(value, dict) and value for value in values):
        return False
    names = {member for value in values for member in value}
    are_alike = len(names) <= _MOST_MEMBERS and sum(map(len, values)) >= len(names) * len(values) / 2
    return are_alike and not any("." in each for each in (name, *names))
