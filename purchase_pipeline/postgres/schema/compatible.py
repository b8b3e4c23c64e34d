"""Which kinds of values may go into which columns, whatever their bounds."""

from purchase_pipeline.postgres.schema.types import ColumnType, family

_INTO = {
    "integer": {"numeric", "float", "json"},
    "numeric": {"float"},
    "float": {"integer", "numeric", "json"},
    "boolean": {"json"},
    "text": {"uuid", "json", "other"},
    "date": {"timestamp"},
    "array": {"json", "other"},
}


def go_together(incoming: ColumnType, column: ColumnType) -> bool:
    """Return whether some values of a type may go into a column of another."""
    kinds = family(incoming), family(column)
    if kinds == ("array", "array"):
        return go_together(incoming.item_type, column.item_type)  # type: ignore[attr-defined]  # both are arrays
    return kinds[0] in {"unknown", kinds[1]} or kinds[1] in _INTO.get(kinds[0], ())
