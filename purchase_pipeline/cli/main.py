"""The command line: `purchase-pipeline up`, and all its other commands."""

import click

from purchase_pipeline.cli import inspect, load, local, quarantine, sales
from purchase_pipeline.cli.command_line import CommandLine, require_own_code


@click.group(
    cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="purchase-pipeline")
def main() -> None:
    """Purchases from an HTTP API into PostgreSQL, lot by lot, through Dagster.

    \b
    Start here:   purchase-pipeline up
    Then look:    psql "$(purchase-pipeline db-url)" -c 'select * from tabela_compras limit 5'

    Settings come from the environment, options go before them: DATABASE_URL (else an embedded PostgreSQL),
    DAGSTER_POSTGRES_URL (Dagster's storage beside it; else the database `dagster` of the same server),
    PURCHASE_API_URL (else a mock API), PURCHASE_LOTS, PURCHASE_ROWS, PURCHASE_EVERY, PURCHASE_MAX_REJECTED_RATIO,
    PURCHASE_HOME (local state; .purchase beside the project).
    """
    require_own_code()


for _command in (
    load.up,
    load.ingest,
    inspect.status,
    inspect.verify,
    quarantine.rejects,
    quarantine.replay,
    sales.report,
    sales.sql,
    local.db_url,
    local.down,
    local.reset,
):
    main.add_command(_command)
