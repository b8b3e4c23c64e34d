"""Names of columns, which Python, pydantic and PostgreSQL accept."""

import keyword
import re
import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel

_LONGEST = 40  # characters; PostgreSQL's limit is 63 bytes
_OF_FEEDS = {"partition_key", "row_number"}


def column_names(paths: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a different name for each path."""
    names = list[str]()
    for number, path in enumerate(paths, 1):
        plain = identifier("_".join(path)) or f"column_{number}"
        same = [name for name in names if re.fullmatch(rf"{plain}(_\d+)?", name)]
        names.append(f"{plain}_{len(same) + 1}" if same else plain)
    return names


def identifier(text: str) -> str:
    """Return a text as a name in small letters: `preco_r` of `Preço (R$)`, `order_id` of `orderId`."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(each for each in decomposed if not unicodedata.combining(each))
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    name = re.sub(r"[\W_]+", "_", parted).lower()[:_LONGEST].strip("_")
    name = f"n{name}" if name[:1].isdigit() else name
    if name.startswith(("model_dump", "model_validate")):  # which pydantic reserves
        return f"its_{name}"
    return f"{name}_" if keyword.iskeyword(name) or hasattr(BaseModel, name) or name in _OF_FEEDS else name
