"""A contract from column types in words, for those who write YAML."""

import re
import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, create_model

from purchase_pipeline.contracts.numbers import BigInteger, DecimalComma, DecimalOf, Integer, Number
from purchase_pipeline.contracts.request import FromRequest
from purchase_pipeline.contracts.texts import UUID, Bool, BooleanIn, Json, LongText
from purchase_pipeline.contracts.times import Date, DateIn, LocalMoment, Moment, MomentIn


def _boolean(of: str) -> Any:  # noqa: ANN401
    true, false = of.split(",")
    return BooleanIn(true=true.strip().split("|"), false=false.strip().split("|"))


_TYPES = {
    "text": LongText,
    "integer": Integer,
    "bigint": BigInteger,
    "double precision": Number,
    "boolean": Bool,
    "date": Date,
    "timestamp": LocalMoment,
    "timestamptz": Moment,
    "uuid": UUID,
    "jsonb": Json,
}
_TYPES_OF = {
    "numeric": lambda of: DecimalOf(*map(int, of.split(","))),
    "decimal_comma": lambda of: DecimalComma(*map(int, of.split(","))),
    "date": DateIn,
    "timestamptz": lambda of: MomentIn(*re.split(r",\s*(?=[^%,]+$)", of)),
    "boolean": _boolean,
}
_COLUMN = re.compile(
    r"(?P<name>[a-z][a-z_ ]*?) ?(\((?P<of>.*?)\))?(?P<list>\[\])?(?P<optional>\?)?( from (?P<path>(?s:.+)))?"
)
_REQUESTED = re.compile(r"\{(\w+)\}")
_KNOWN = (
    f"Known types: {', '.join(_TYPES)}, numeric(12,2), decimal_comma(12,2), date(%d/%m/%Y), "
    "timestamptz(%d/%m/%Y %H:%M, America/Sao_Paulo), boolean(sim|s, não|n); each also with [] and ?."
)


def contract_from_columns(
    name: str, columns: Mapping[str, str], *, extra: Literal["allow", "ignore", "forbid"] = "ignore"
) -> type[BaseModel]:
    """Return a strict contract with one field for each column, for those who write YAML.

        contract_from_columns("Order", {"order_id": "text", "amount": "numeric(12,2)", "note": "text?"})

    `?` marks a value that may be null or missing, and `[]` a list. `text from customer.name` reads another member: of
    that name, or nested; `text from {series}` a variable of the request.

    Raises:
        ValueError: an unknown type, or a name that a pydantic model cannot have.
    """
    fields: dict[str, Any] = {column: _field(column, words) for column, words in columns.items()}
    with warnings.catch_warnings():  # a column may have the name of a method, such as `copy`
        warnings.simplefilter("ignore", UserWarning)
        return create_model(
            name,
            __config__=ConfigDict(strict=True, extra=extra, frozen=True, protected_namespaces=()),
            **fields,
        )


def _field(column: str, words: str) -> tuple[Any, Any]:
    if column.startswith("_") or (column.startswith("model_") and hasattr(BaseModel, column)):
        raise ValueError(
            f"Column {column!r}: pydantic reserves this name. Rename it: '{words} from {column}'."
        )
    declared = _COLUMN.fullmatch(str(words).strip())  # YAML may hold a number
    try:
        field_type = _type_named(declared["name"], declared["of"]) if declared else None
    except (LookupError, OSError, TypeError, ValueError) as error:  # LookupError, OSError: of a zone
        raise ValueError(f"Column {column!r}: {words!r}: {error}. {_KNOWN}") from error
    if declared is None or field_type is None:
        raise ValueError(f"Column {column!r}: unknown type {words!r}. {_KNOWN}")
    if declared["list"]:
        field_type = list[field_type]  # type: ignore[valid-type]  # chosen at run time
    if requested := _REQUESTED.fullmatch(declared["path"] or ""):
        return Annotated[field_type, FromRequest(requested[1])], Field()
    alias = _alias(declared["path"]) if declared["path"] else None
    if declared["optional"]:
        return field_type | None, Field(default=None, validation_alias=alias)
    return field_type, Field(validation_alias=alias)


def _type_named(name: str, of: str | None) -> Any:  # noqa: ANN401
    if of is None:
        return _TYPES.get(name)
    return _TYPES_OF[name](of) if name in _TYPES_OF else None


def _alias(path: str) -> AliasChoices:
    """Return the member of that name, which may have dots, or else the nested one: `items.0.sku`."""
    first, *rest = path.split(".")
    return AliasChoices(path, AliasPath(first, *(int(part) if part.isdecimal() else part for part in rest)))
