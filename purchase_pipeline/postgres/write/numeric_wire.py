"""NUMERIC in PostgreSQL's binary format, for values that Arrow's decimals cannot hold."""

from decimal import Decimal
from struct import pack

_SPECIAL = {"n": 0xC000, "N": 0xC000, "F": 0xD000, "-F": 0xF000}
_NEGATIVE = 0x4000
_GROUP = 10_000  # four decimal digits are one digit of the format
_MOST_BEFORE, _MOST_AFTER = 131_072, 16_383  # digits: PostgreSQL's documentation, table 8.2


def numeric_wire(value: Decimal) -> bytes:
    """Return the bytes that `numeric_recv` reads (PostgreSQL, src/backend/utils/adt/numeric.c).

    Raises:
        ValueError: the value has more digits than NUMERIC allows.
    """
    sign, digits, exponent = value.as_tuple()
    if isinstance(exponent, str):
        return pack(">hhHH", 0, 0, _SPECIAL["-F" if exponent == "F" and sign else exponent], 0)
    if value and value.adjusted() >= _MOST_BEFORE:
        raise ValueError(f"{value:.3E} has more than {_MOST_BEFORE} digits before the decimal point")
    scale = max(-exponent, 0)
    if scale > _MOST_AFTER:
        raise ValueError(f"{value:.3E} has more than {_MOST_AFTER} decimal places")
    groups_after = -(-scale // 4)
    rest = int("".join(map(str, digits))) * 10 ** (exponent + 4 * groups_after)
    groups: list[int] = []
    while rest:
        rest, group = divmod(rest, _GROUP)
        groups.append(group)
    weight = len(groups) - 1 - groups_after
    head = pack(">HhHH", len(groups), weight if groups else 0, _NEGATIVE if sign else 0, scale)
    return head + pack(f">{len(groups)}H", *reversed(groups))
