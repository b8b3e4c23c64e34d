"""A schemathesis hook that excludes long batches, whose generation would take most of the time."""

from typing import Any

import schemathesis

LONGEST_ROWS = 20_000
"""Two blocks, so that streamed responses are included."""

MOST_ROWS = 1_000_000
"""The API's own limit; longer batches are refused quickly, so they are included."""


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Accept a request unless it is for a long batch."""
    rows = str(case.path_parameters.get("param", ""))
    return not (rows.isdecimal() and LONGEST_ROWS < int(rows) <= MOST_ROWS)
