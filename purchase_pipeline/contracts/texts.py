"""Field types of text, and of what is written in words."""

import json
import re
import uuid
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import core_schema

from purchase_pipeline.contracts.forms import (
    INTEGER_IN_JSON,
    Explained,
    ReceivedAs,
    first_of,
    received,
    text_like,
)

_HEX = "[0-9A-Fa-f]"
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

Text = Annotated[
    str,
    Field(max_length=1000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$"),
    Explained("must be non-empty text of at most 1,000 characters, without NUL"),
]
"""Non-empty text of at most 1,000 characters, in a TEXT column. PostgreSQL cannot store NUL."""

LongText = Annotated[str, Field(pattern=r"^[^\x00]*$"), Explained("must be text without NUL")]
"""Text of any length, which may be empty, in a TEXT column."""

UUID = Annotated[
    uuid.UUID,
    Field(strict=False),
    ReceivedAs(text_like(rf"^{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$")),
    Explained("must be a UUID: 123e4567-e89b-12d3-a456-426614174000"),
]
"""A UUID as text with hyphens, in a UUID column."""

Bool = Annotated[bool, Field(strict=True), Explained("must be true or false")]
"""`true` or `false`, in a BOOLEAN column; in CSV also `1` and `0`, `yes` and `no`, `on` and `off`."""


def BooleanIn(*, true: Collection[str | int], false: Collection[str | int]) -> Any:  # noqa: ANN401, N802  # used as a type
    """Return the type of a BOOLEAN column, from words in any case: `BooleanIn(true={"sim", "s"}, false={"não", "n"})`.

    Integers, `true={1}`, are accepted as numbers and as text.
    """
    words = {_folded(word): value for value, listed in ((True, true), (False, false)) for word in listed}
    if not true or not false or len(words) < len(true) + len(false):
        raise ValueError(f"BooleanIn(true={true!r}, false={false!r}): expected different words for each.")

    def read(word: str | int) -> bool:
        if _folded(word) not in words:
            raise ValueError("unknown word")
        return words[_folded(word)]

    word = first_of(received(text_like()), INTEGER_IN_JSON)
    return Annotated[
        bool,
        ReceivedAs(core_schema.no_info_after_validator_function(read, word)),
        Explained(f"must be one of: {', '.join(sorted(words))}"),
    ]


def _folded(word: str | int) -> str:
    return str(word).casefold()


def _reject_unstorable_json(value: Any) -> Any:  # noqa: ANN401
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode()  # raises for a lone surrogate
    if _NUL_IN_JSON.search(text):
        raise ValueError("NUL")
    return value


Json = Annotated[
    Any, AfterValidator(_reject_unstorable_json), Explained("must be JSON without NUL, NaN and infinity")
]
"""Any JSON value, in a JSONB column. Numbers that are not integers are doubles."""
