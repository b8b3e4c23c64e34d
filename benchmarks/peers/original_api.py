"""The API of the first version, which generates each row on request, value by value, with Faker.

`uvicorn --factory benchmarks.peers.original_api:create_app`
"""

import random
from typing import Any

from faker import Faker
from fastapi import FastAPI

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS, STORES


def create_app() -> FastAPI:
    """Return the application, with one Faker for all requests."""
    app = FastAPI()
    fake = Faker("pt_BR")

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int) -> list[dict[str, Any]]:
        return [_purchase(fake) for _ in range(param)]

    return app


def _purchase(fake: Faker) -> dict[str, Any]:
    return {
        "date_purchase": fake.date_between("-5y", "-1d").isoformat(),
        "client_name": fake.first_name(),
        "client_lastname": fake.last_name(),
        "state": fake.administrative_unit(),
        "birthday_client": fake.date_of_birth(minimum_age=18, maximum_age=70).isoformat(),
        "job": fake.job(),
        "payment_type": random.choice(PAYMENT_TYPES),  # noqa: S311  # not for secrets
        "store": random.choice(STORES),  # noqa: S311
        **random.choice(PRODUCTS)._asdict(),  # noqa: S311
    }
