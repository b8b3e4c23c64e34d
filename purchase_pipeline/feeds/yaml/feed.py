"""The attributes of a feed in YAML, and the feed that they declare."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, model_validator

from purchase_pipeline.contracts import contract_from_columns
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.yaml.attributes import Attributes, attributes_of
from purchase_pipeline.feeds.yaml.partitions import Freshness, Partitions
from purchase_pipeline.feeds.yaml.source import HttpSourceInYaml
from purchase_pipeline.ingest.retention import Retention
from purchase_pipeline.ingest.sources.function import FunctionSource
from purchase_pipeline.ingest.writing import Since, Write


def _imported(path: str) -> Any:  # noqa: ANN401
    """Return what a dotted path names: `package.module.name` or `package.module:name`.

    Raises:
        ValueError: there is no such thing, or its module raises.
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # a user's module may raise anything
        raise ValueError(f"cannot import {path!r} ({type(error).__name__}: {error})") from error


def _contract(path: str, info: ValidationInfo) -> Any:  # noqa: ANN401
    if not info.context:
        return path
    contract = _imported(path)
    if not (isinstance(contract, type) and issubclass(contract, BaseModel)):
        raise ValueError(f"{path!r} is not a pydantic model")  # noqa: TRY004  (for pydantic)
    return contract


def _function(path: str, info: ValidationInfo) -> Any:  # noqa: ANN401
    if not info.context:
        return path
    function = _imported(path)
    if not callable(function):
        raise ValueError(f"{path!r} is not a function")  # noqa: TRY004  (for pydantic)
    return FunctionSource(function)


def _columns(columns: Mapping[str, str]) -> Mapping[str, str]:
    contract_from_columns("Row", columns)
    return columns


def _dotted_path(path: str) -> str:
    if re.fullmatch(r"\w+(\.\w+)*[.:]\w+", path):
        return path
    raise ValueError("must be a dotted path, such as my_project.orders.Order or my_project.orders:Order")


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return name
    raise ValueError("must be letters, digits and underscores, and not begin with a digit")


_DottedPath = Annotated[str, AfterValidator(_dotted_path)]


def _building(declared: type) -> Callable[[Attributes, ValidationInfo], Any]:
    """Return a validator that builds what the attributes declare."""
    return lambda attributes, info: declared(**attributes.given()) if info.context else attributes


class _FeedAttributes(Attributes):
    columns: Annotated[Mapping[str, str], AfterValidator(_columns)] = Field(
        default={},
        description="Columns and their types, instead of a contract: `{id: text, amount: numeric(12,2), note: text?}`",
    )
    function: Annotated[_DottedPath, AfterValidator(_function)] = Field(
        default="",
        description="Dotted path of a function from a partition to rows, instead of a source: my_project.orders.rows",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for either, other in (("contract", "columns"), ("source", "function")):
            if (either in self.model_fields_set) == (other in self.model_fields_set):
                raise ValueError(f"must have either {either} or {other}")
        return self


FeedAttributes = attributes_of(
    FeedDeclaration,
    types={
        "name": Annotated[str, AfterValidator(_name)],
        "contract": Annotated[_DottedPath, AfterValidator(_contract)],
        "source": HttpSourceInYaml,
        "partitions": Partitions,
        "freshness": Freshness,
        "write": Annotated[attributes_of(Write), AfterValidator(_building(Write))],
        "retention": Annotated[attributes_of(Retention), AfterValidator(_building(Retention))],
        "since": Annotated[attributes_of(Since), AfterValidator(_building(Since))],
    },
    optional={"contract", "source"},
    without={"tables"},
    base=_FeedAttributes,
)


def feed_of(attributes: Attributes) -> Feed:
    """Return the feed that attributes declare.

    Args:
        attributes: rendered, and validated in the context `BUILD`.
    """
    given = attributes.given()
    if columns := given.pop("columns", None):
        given["contract"] = contract_from_columns(given["name"].title().replace("_", ""), columns)
    if function := given.pop("function", None):
        given["source"] = function
    return Feed(**given)
