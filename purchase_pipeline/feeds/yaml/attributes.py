"""YAML attributes of a class: a pydantic model with the class's fields, their types and their documentation.

Attributes are validated twice: as written, with `{{ templates }}` in place of values; and rendered, in the context
`BUILD`, in which validation returns the objects that the attributes declare.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from inspect import cleandoc
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from purchase_pipeline.feeds.yaml.values import OrTemplate, Variable, Word
from purchase_pipeline.ingest.sources.variables import Deferred

BUILD = {"build": True}
_DOCUMENTED = re.compile(r"^    (\w[\w, ]*): (.*(?:\n {8,}.*)*)", re.MULTILINE)


class Attributes(BaseModel):
    """Attributes in YAML; an unknown one is an error that lists those accepted."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:  # noqa: ANN401
        accepted = list(cls.model_fields)
        if not isinstance(given, Mapping):
            raise ValueError(f"must be attributes; accepted: {', '.join(accepted)}")  # noqa: TRY004  (for pydantic)
        for unknown in (name for name in given if name not in accepted):
            close = get_close_matches(str(unknown), accepted, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"unknown attribute {unknown!r}{meant}; accepted: {', '.join(accepted)}")
        return given

    def given(self) -> dict[str, Any]:
        """Return the attributes that are given, without defaults."""
        return {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set
        }


_YAML_TYPES: dict[Any, Any] = {
    str | Deferred: Variable,
    str | Deferred | None: Variable,
    Mapping[str, str]: Mapping[str, Word],
    dict[str, str]: dict[str, Word],
    Sequence[str]: list[Word],
    Mapping[str, Sequence[str]]: Mapping[str, list[Word]],
    Literal[True] | tuple[str, ...]: Literal[True] | tuple[Word, ...],
}


def attributes_of(
    declared: type,
    *,
    types: Mapping[str, Any] | None = None,
    optional: Collection[str] = (),
    without: Collection[str] = (),
    base: type[Attributes] = Attributes,
) -> type[Attributes]:
    """Return the model of a class's attributes.

    Args:
        declared: a dataclass, or a pydantic model.
        types: types in YAML of some of its fields.
        optional: fields that may be missing, because YAML has another attribute for them.
        without: fields that are not attributes.
        base: model with further attributes or validators.
    """
    types, documentation = types or {}, documented(declared)
    found: dict[str, Any] = {}
    for name, (hint, default) in _fields_of(declared).items():
        if name not in without:
            of = types.get(name) or _yaml_type(hint)
            missing = None if name in optional else default
            found[name] = (of, Field(default=missing, description=documentation.get(name)))
    model: type[Attributes] = create_model(declared.__name__, __base__=base, **found)
    model.__doc__ = cleandoc(declared.__doc__ or "").partition("\n\n")[0]
    return model


def documented(declared: type) -> dict[str, str]:
    """Return the descriptions of a class's attributes in the section `Attributes` of its docstring."""
    _, _, section = cleandoc(declared.__doc__ or "").partition("Attributes:\n")
    return {
        name.strip(): re.sub(r"\s+", " ", text)
        for names, text in _DOCUMENTED.findall(section.partition("\n\n")[0])
        for name in names.split(",")
    }


def in_one_line(error: ValidationError) -> str:
    """Return what is wrong, attribute by attribute."""
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))))
        for each in error.errors(include_url=False)
    )


def _fields_of(declared: type[Any]) -> dict[str, tuple[Any, Any]]:
    """Return the types and defaults of a class's fields; a default that YAML cannot express is None."""
    if is_dataclass(declared):
        hints = get_type_hints(declared)
        return {
            field.name: (hints[field.name], _default(field.default, field.default_factory))
            for field in fields(declared)
            if field.init
        }
    return {
        name: (field.annotation, ... if field.is_required() else field.default)
        for name, field in declared.model_fields.items()
    }


def _default(value: object, factory: object) -> object:
    if value is MISSING:
        return ... if factory is MISSING else None
    return value if isinstance(value, str | int | float | None) else None


def _yaml_type(hint: Any) -> Any:  # noqa: ANN401
    of = _YAML_TYPES.get(hint, hint)
    return of if of in (str, str | None, Variable) else Annotated[of, OrTemplate()]
