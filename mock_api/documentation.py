"""The OpenAPI documentation: purchases, response formats and problems, with examples.

Nothing here takes part in serving a request.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mock_api.limits import Limits
from mock_api.problems import MEDIA_TYPE, Problem, problem
from mock_api.responses import NDJSON


def description(limits: Limits) -> str:
    """Return the description of the API and its limits, in Markdown."""
    return f"""Generated purchases of a Brazilian retail chain, any number of them.

A purchase has 12 fields; names and jobs come from Faker (`pt_BR`). Errors are problem documents (RFC 9457).

**Limits.** Request body: {limits.max_body_bytes} bytes, else 413. Concurrent batches: {limits.max_lots}, else 503 with
`Retry-After`. Duration of a request, from its last header to the last byte read by the client: \
{limits.deadline_seconds:g} seconds, else 503 or, if the response has started, a closed connection. `/livez` and
`/readyz` always respond.

**Access.** Programs and this page. Requests for an unknown host (`MOCK_API_ALLOWED_HOSTS`) and requests from pages of
another origin are refused with 403.
"""


class Compra(BaseModel):
    """One purchase."""

    model_config = ConfigDict(extra="forbid")

    date_purchase: date = Field(description="Within the five years up to yesterday.")
    client_name: str
    client_lastname: str
    state: str = Field(description="Full name of one of Brazil's 27 federative units.")
    birthday_client: date = Field(description="The client is 18 to 70 years old today.")
    job: str = Field(description="A job title; the longest has more than 100 characters.")
    payment_type: str = Field(description="One of six payment types.")
    store: int = Field(ge=1, le=12)
    category: str
    product: str = Field(description="One of 20 products; determines category, brand and price.")
    brand: str
    price: float = Field(gt=0, description="In R$, at most two decimal places.")


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
    "description": "The purchases, in one of two formats; each row is the same text in both.",
    "headers": {
        "X-Row-Count": {"description": "Rows sent.", "schema": {"type": "integer"}},
        "Content-Digest": {
            "description": "SHA-256 of the content (RFC 9530). Absent above 10,000 rows.",
            "schema": {"type": "string"},
        },
        "Vary": {"description": "The format depends on `Accept`.", "schema": {"const": "Accept"}},
    },
    "content": {
        "application/json": {"example": [EXAMPLE]},
        NDJSON.media_type: {
            "schema": {
                "type": "string",
                "description": "One `Compra` per line; every line ends with a newline.",
            },
            "example": json.dumps(EXAMPLE, ensure_ascii=False, separators=(",", ":")) + "\n",
        },
    },
}


def filled_in(value: object) -> dict[str, Any]:
    """Document the value with which the page of the API fills in a parameter: it ignores `examples` of a schema."""
    return {"example": value}


RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def problem_response(
    status: int, description: str, *details: str, headers: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Document an error response, with an example of each possible detail."""
    examples = {
        f"example {n}": {"value": problem(status, detail).model_dump()} for n, detail in enumerate(details, 1)
    }
    schema = Problem.model_json_schema()
    content = {MEDIA_TYPE: {"schema": schema, "examples": examples}}
    return {"description": description, "content": content, "headers": headers or {}}
