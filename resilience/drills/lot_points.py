"""The places of a lot at which its worker is killed: what passes on the wire, so that they are real and not sleeps."""

import re
from dataclasses import dataclass
from enum import Enum, auto

_SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)


class Place(Enum):
    """What passes. What stands before it has passed, and is understood by the other side."""

    REQUEST = auto()
    ANSWER = auto()
    CONNECT = auto()
    STATEMENT = auto()
    STATEMENT_ANSWER = auto()
    COPY_DATA = auto()


@dataclass(frozen=True)
class Point:
    """A place at which the worker dies.

    `statement` is what the client said last, `share` how much of an answer or a COPY has passed. At `passes` the bytes
    at the place still pass; else they do not.
    """

    name: str
    place: Place
    statement: re.Pattern[str] = re.compile("")
    share: float = 0.0
    after_data: bool = False
    passes: bool = False


_CLEAR = re.compile("DELETE FROM")
# Of the purchases, or of the orders.
FIRST_COPY = re.compile('COPY .*"(tabela_compras|orders)"')
_SECOND_COPY = re.compile('COPY .*"(compras_rejeitadas|orders_rejected)"')
_LEDGER = re.compile("INSERT INTO .*slice_ledger", re.DOTALL)
_COMMIT = re.compile("COMMIT")

POINTS = (
    Point("the API was asked", Place.REQUEST, passes=True),
    *(Point(f"{share:.0%} of the API's answer", Place.ANSWER, share=share) for share in _SHARES),
    Point("before the first connection to the data", Place.CONNECT),
    Point("before the old rows are cleared", Place.STATEMENT, _CLEAR),
    Point("COPY begun", Place.STATEMENT_ANSWER, FIRST_COPY),
    *(Point(f"{share:.0%} of the COPY", Place.COPY_DATA, FIRST_COPY, share) for share in _SHARES),
    Point("COPY ended", Place.STATEMENT_ANSWER, FIRST_COPY, after_data=True),
    Point("before the second table's COPY", Place.STATEMENT, _SECOND_COPY),
    Point("before the ledger's rows", Place.STATEMENT, _LEDGER),
    Point("before COMMIT", Place.STATEMENT, _COMMIT, after_data=True),
    Point("COMMIT done, its answer withheld", Place.STATEMENT_ANSWER, _COMMIT, after_data=True),
    Point("COMMIT answered", Place.STATEMENT_ANSWER, _COMMIT, after_data=True, passes=True),
)
"""In the order in which a lot passes them."""
