"""The part of a document that a program writes: what stands between two markers."""


def with_section(document: str, begin: str, end: str, text: str) -> str:
    """Return the document with that text between its two markers.

    Raises:
        ValueError: the document does not have the markers.
    """
    before, found_begin, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"The document has no {begin} followed by {end}.")
    return f"{before}{begin}\n{text}\n{end}{after}"
