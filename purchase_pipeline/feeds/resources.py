"""Dagster resources: each builds a plain object from its configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.manager import PostgresDbIOManager
from purchase_pipeline.settings import is_environment_variable
from purchase_pipeline.stack.database import own_database_in_use


def declared_resource(value: object, description: str) -> dg.ResourceDefinition:
    """Return the resource of a declared object."""
    return dg.ResourceDefinition(lambda _: value, config_schema={}, description=description)


class LandingResource(dg.ConfigurableResource[Landing]):
    """Where raw partitions are stored: a folder, or `s3://bucket/prefix`."""

    location: str

    def create_resource(self, context: dg.InitResourceContext) -> Landing:  # noqa: ARG002
        """Return the landing. A folder is created with the first partition; a bucket must exist."""
        return landing_at(self.location)


def ledger_resource(tables: FeedTables, url: str) -> dg.ResourceDefinition:
    """Return the resource of a feed's ledger.

    Args:
        tables: the feed's tables.
        url: the database's URL, or an `EnvVar`.
    """

    class LedgerResource(dg.ConfigurableResource[Ledger]):
        """The ledger of loaded partitions, in PostgreSQL."""

        database_url: str = Field(repr=False)

        @contextmanager
        def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Ledger]:  # noqa: ARG002
            """Yield the ledger; start the embedded server if the URL is its own."""
            with own_database_in_use(self.database_url):
                engine = engine_for(self.database_url, keeps_connection=True)
                try:
                    yield Ledger(engine, tables)
                finally:
                    engine.dispose()

    return fixed(LedgerResource(database_url=url))


class FeedIOManager(PostgresIOManager):
    """The PostgreSQL IO manager; starts the embedded server if the URL is its own."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PostgresDbIOManager]:
        """Yield the IO manager, after starting the embedded server if needed."""
        with own_database_in_use(self.database_url), super().yield_for_execution(context) as manager:
            yield manager


def by_name(variable: str, value: str) -> str:
    """Refer to a value by its environment variable if set, so that Dagster's UI does not show a password."""
    return dg.EnvVar(variable) if is_environment_variable(variable) else value


def fixed(
    resource: dg.ConfigurableResource[Any] | dg.ConfigurableIOManagerFactory[Any],
) -> dg.ResourceDefinition:
    """Fix a resource's configuration, so that run configuration cannot choose another file, API or database.

    Dagster's UI then shows no values, so they are added to the description, with secrets by variable name.
    """
    definition = resource.get_resource_definition()
    schema = definition.config_schema
    description = f"{definition.description}\n\nSet by the deployment: `{schema.default_value_as_json_str}`"
    return definition.configured(schema.default_value, config_schema={}, description=description)
