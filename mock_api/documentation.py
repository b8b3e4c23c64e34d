"""What OpenAPI says of the API: a purchase, the answers' two forms, the problems, with examples.

Describes only; nothing that is sent passes through here.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mock_api.answers import NDJSON
from mock_api.limits import Limits
from mock_api.problems import MEDIA_TYPE, Problem, problem


def description(limits: Limits) -> str:
    """Say what the API is and how much may be asked of it."""
    return f"""Made-up purchases of a Brazilian chain of shops, as many as you ask for.

A purchase has 12 fields; names and jobs come from Faker (`pt_BR`). Errors are problems (RFC 9457).

**Limits.** A request's body: {limits.max_body_bytes} bytes, else 413. Lots at once: {limits.max_lots}, else 503
with `Retry-After`. A request, from its last header to the last byte that its client reads: \
{limits.deadline_seconds:g} seconds; then 503 or, when the answer has begun, a connection closed before the answer's
end. `/livez` and `/readyz` answer also while all lots are taken.

**Who is answered.** Programs, and this page. A request for a host that is not this server (`MOCK_API_ALLOWED_HOSTS`)
is answered 403, and so is one that a page of another origin sent.
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


RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def problem_response(
    status: int, description: str, *details: str, headers: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Document one refusal, with an example for each detail it may give."""
    examples = {
        f"example {n}": {"value": problem(status, detail).model_dump()} for n, detail in enumerate(details, 1)
    }
    schema = Problem.model_json_schema()
    content = {MEDIA_TYPE: {"schema": schema, "examples": examples}}
    return {"description": description, "content": content, "headers": headers or {}}
