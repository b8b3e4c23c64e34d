"""Splits a JSON object into its members without changing their text, so that rejected rows are kept as sent."""

import json
import re

from purchase_pipeline.ingest.row_splitter import UnreadableResponseError

_NAME = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*')
# Accept any number and control character here: the contract validates them, row by row.
_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)


def members(body: bytes) -> dict[str, bytes]:
    """Return the members of an object by name, each value as its original text.

    Raises:
        UnreadableResponseError: the body is not a JSON object, or is truncated.
    """
    text = body.decode("utf-8", "surrogateescape")
    found, at = dict[str, bytes](), 0
    try:
        while name := _NAME.match(text, at):
            _, at = _DECODER.raw_decode(text, name.end())
            found[json.loads(name[1])] = text[name.end() : at].encode("utf-8", "surrogateescape")
    except json.JSONDecodeError as error:
        raise UnreadableResponseError(f"The page is not valid JSON: {error}.") from error
    if text[at:].strip() != "}":
        raise UnreadableResponseError("The page is not a JSON object, or is truncated.")
    return found
