"""Lines of text on a terminal: wrapped between words there, left whole in a file or a pipe."""

import re
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from purchase_pipeline.ingest.printable import printable

_PIPE_COLUMNS = 200


def print_text(console: Console, text: str | Text, indent: int = 0) -> None:
    """Print a text. A word longer than a line, such as a URL, is not broken: it can be copied.

    Args:
        console: where to print.
        text: a `str` may come from elsewhere, such as a path or a server's message; it is escaped and has no markup.
        indent: columns before each line, so that a text from elsewhere cannot pass for our own output.
    """
    whole = Text(printable(text)) if isinstance(text, str) else text
    starts = _line_starts(whole.plain, console.width - indent) if console.is_terminal else ()
    for line in whole.divide(starts):
        line.rstrip()
        line.pad_left(indent)
        console.print(line, soft_wrap=True, highlight=False)


def print_table(console: Console, table: Table) -> None:
    """Print a table; in a file or a pipe, which has no width, each row stays one line."""
    whole = console if console.is_terminal else Console(file=console.file, width=_PIPE_COLUMNS)
    whole.print(table)


# Rich's own wrapping breaks or cuts a word that is longer than the line.
def _line_starts(text: str, width: int) -> Iterator[int]:
    """Yield where each line but the first begins."""
    start = 0
    for word in re.finditer(r"\S+", text):
        if word.end() - start > width and word.start() > start:
            start = word.start()
            yield start
