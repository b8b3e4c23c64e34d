"""Opens a JSON object without touching what is in it, so that a rejected row is kept as it was sent."""

import json
import re

from purchase_pipeline.ingest.row_splitter import UnreadableLotError

_NAME = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*')
# Judging numbers and control characters is the contract's work, row by row: here all of them pass.
_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)


def members(body: bytes) -> dict[str, bytes]:
    """Return an object's members by their names, each value as its own text, byte for byte.

    Raises:
        UnreadableLotError: no JSON object, or one that is cut short.
    """
    text = body.decode("utf-8", "surrogateescape")
    found, at = dict[str, bytes](), 0
    try:
        while name := _NAME.match(text, at):
            _, at = _DECODER.raw_decode(text, name.end())
            found[json.loads(name[1])] = text[name.end() : at].encode("utf-8", "surrogateescape")
    except json.JSONDecodeError as error:
        raise UnreadableLotError(f"The page is no JSON: {error}.") from error
    if text[at:].strip() != "}":
        raise UnreadableLotError("The page is no JSON object, or ends before its closing brace.")
    return found
