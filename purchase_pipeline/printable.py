"""Text from a server, made fit for a message: one line, printable, of bounded length."""


def printable(text: str, length: int) -> str:
    """Return a text on one line, with what cannot be printed escaped, cut to a length."""
    line = " ".join(text[: 4 * length].split())
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."
