"""Text that somebody else wrote, as Dagster's UI may render it: it takes Markdown in metadata and in check results."""

import re

_LONGEST = 80
_PLAIN = re.compile(r"[\w ,.:;()%'+-]*")
_MARKED = re.compile(
    r"\b_|_\b|www\.", re.IGNORECASE
)  # what is Markdown, or becomes a link, of plain characters


def in_markdown(value: object) -> str:
    """Return a value as Markdown that shows it, cut and in one line, and does nothing: no picture, no link, no table.

    What is more than plain words becomes code: a link that GitHub's Markdown finds by itself cannot be escaped.
    """
    text = repr(str(value))[1:-1]
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 3]}..."
    if _PLAIN.fullmatch(text) and not _MARKED.search(text):
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"
