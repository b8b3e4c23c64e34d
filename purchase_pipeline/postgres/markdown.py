"""Untrusted text for Dagster's UI, which renders Markdown in metadata and in check results."""

import re

_LONGEST = 80
_PLAIN = re.compile(r"[\w ,.:;()%'+-]*")
_MARKED = re.compile(r"\b_|_\b|www\.", re.IGNORECASE)  # plain characters that are Markdown, or become a link


def in_markdown(value: object) -> str:
    """Return a value as inert Markdown on one line, truncated: it makes no image, link or table.

    Anything but plain words becomes code, because GitHub's autolinks cannot be escaped.
    """
    text = repr(str(value))[1:-1]
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 3]}..."
    if _PLAIN.fullmatch(text) and not _MARKED.search(text):
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"
