"""COPY's text form of rows that are texts already: they need no adapting, only joining."""

from collections.abc import Sequence

from purchase_pipeline.postgres.rows import Row

_ESCAPES = str.maketrans({char: f"\\{name}" for char, name in zip("\b\t\n\v\f\r\\", "btnvfr\\", strict=True)})


def text_form(rows: Sequence[Row], width: int, encoding: str) -> bytes | None:
    """Return what COPY reads for rows of `width` texts each; None if one is anything else, or cannot be encoded.

    The form's source: PostgreSQL's documentation, COPY, "Text Format".
    """
    if any(len(row) != width for row in rows):
        return None
    try:
        text = "\n".join(map("\t".join, rows))
        plain = text.count("\t") == len(rows) * (width - 1) and text.count("\n") == len(rows) - 1
        if not plain or any(char in text for char in "\b\v\f\r\\"):
            text = "\n".join("\t".join(value.translate(_ESCAPES) for value in row) for row in rows)
        return f"{text}\n".encode(encoding)
    except (TypeError, UnicodeEncodeError):
        return None
