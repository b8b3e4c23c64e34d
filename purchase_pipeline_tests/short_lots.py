"""A hook of schemathesis, loaded by its process: leaves out lots so long that making them would be all it does."""

from typing import Any

import schemathesis

LONGEST_ROWS = 20_000
"""Two blocks: a streamed answer, too."""

MOST_ROWS = 1_000_000
"""The API's own bound: what lies beyond is refused, and worth asking."""


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Let a request pass unless it asks for a long lot."""
    rows = str(case.path_parameters.get("param", ""))
    return not (rows.isdecimal() and LONGEST_ROWS < int(rows) <= MOST_ROWS)
