"""What OpenAPI says of the API: a purchase, the answers' two forms, the problems, with examples.

Describes only; nothing that is sent passes through here.
"""

import json
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mock_api.answers import NDJSON
from mock_api.problems import MEDIA_TYPE, Problem, problem

DESCRIPTION = """Made-up purchases of a Brazilian chain of shops, as many as you ask for.

A purchase has 12 fields; names and jobs come from Faker (`pt_BR`). Errors are problems (RFC 9457).
"""


class Compra(BaseModel):
    """One purchase."""

    model_config = ConfigDict(extra="forbid")

    date_purchase: date = Field(description="Within the last five years, up to yesterday.")
    client_name: str
    client_lastname: str
    state: str = Field(description="One of Brazil's 27 federative units, in full.")
    birthday_client: date = Field(description="The client is 18 to 70 years old today.")
    job: str = Field(description="A job title; the longest has more than 100 characters.")
    payment_type: str = Field(description="One of six.")
    store: int = Field(ge=1, le=12)
    category: str
    product: str = Field(description="One of twenty; category, brand and price go with it.")
    brand: str
    price: float = Field(gt=0, description="In R$, at most two decimals.")


EXAMPLE = {
    "date_purchase": "2024-03-09",
    "client_name": "Ana Beatriz",
    "client_lastname": "Albuquerque",
    "state": "Espírito Santo",
    "birthday_client": "1987-11-23",
    "job": "Pesquisador em ciências da terra e meio ambiente",
    "payment_type": "Cartão de Crédito",
    "store": 7,
    "category": "Eletrônicos",
    "product": "Smartphone Android Pro X",
    "brand": "Samsung",
    "price": 1899.9,
}

PURCHASES: dict[str, Any] = {
    "description": "The purchases, in one of two forms; a row is the same text in both.",
    "headers": {
        "X-Row-Count": {"description": "Rows sent.", "schema": {"type": "integer"}},
        "Content-Digest": {
            "description": "SHA-256 of the content (RFC 9530). Absent above 10,000 rows.",
            "schema": {"type": "string"},
        },
        "Vary": {"description": "The form depends on `Accept`.", "schema": {"const": "Accept"}},
    },
    "content": {
        "application/json": {"example": [EXAMPLE]},
        NDJSON.media_type: {
            "schema": {"type": "string", "description": "One `Compra` a line, each line ended by a newline."},
            "example": json.dumps(EXAMPLE, ensure_ascii=False, separators=(",", ":")) + "\n",
        },
    },
}


def problem_response(status: int, description: str, *details: str) -> dict[str, Any]:
    """Document one refusal, with an example for each detail it may give."""
    examples = {
        f"example {n}": {"value": problem(status, detail).model_dump()} for n, detail in enumerate(details, 1)
    }
    schema = Problem.model_json_schema()
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}
