"""COPY's text format for rows of strings, which need no adaptation, only joining."""

from collections.abc import Sequence

from purchase_pipeline.postgres.frames.rows import Row

_NEVER_SEPARATORS = "\b\v\f\r\\"
_ESCAPES = str.maketrans(
    {char: f"\\{name}" for char, name in zip(f"\t\n{_NEVER_SEPARATORS}", "tnbvfr\\", strict=True)}
)


def text_form(rows: Sequence[Row], width: int, encoding: str) -> bytes | None:
    """Return COPY data for rows of `width` strings; None if a value is not a string, or cannot be encoded.

    For the format, see PostgreSQL's documentation of COPY, "Text Format".
    """
    if any(len(row) != width for row in rows):
        return None
    try:
        text = "\n".join(map("\t".join, rows))
        separators = text.count("\t") + text.count("\n")
        if separators != len(rows) * width - 1 or any(char in text for char in _NEVER_SEPARATORS):
            text = "\n".join("\t".join(value.translate(_ESCAPES) for value in row) for row in rows)
        return f"{text}\n".encode(encoding)
    except (TypeError, UnicodeEncodeError):
        return None
