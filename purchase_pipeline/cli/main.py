"""The `purchase-pipeline` command group and the table of its commands."""

from importlib import import_module
from pathlib import Path

import click
from dotenv import load_dotenv

from purchase_pipeline.cli.command_line import CommandLine, require_own_code
from purchase_pipeline.stack.start import importing

_COMMANDS = {
    "up": ("load", "Start the local stack and load every batch."),
    "ingest": ("load", "Load every missing batch now, without daemon or UI."),
    "status": ("inspect", "Show loaded, rejected, failed and in-progress batches."),
    "verify": ("inspect", "Compare every batch with its landed file."),
    "rejects": ("quarantine", "Show rejected rows and their reasons."),
    "replay": ("load", "Revalidate landed batches after the contract has changed."),
    "new": ("new", "Write a feed from one response of an API."),
    "report": ("sales", "Update the sales report and open it."),
    "sql": ("sql", "Run a saved query or a statement, or list the saved queries."),
    "psql": ("sql", "Open psql on the database in use, as a role that only reads."),
    "db-url": ("local", "Print the URL of the database in use."),
    "down": ("local", "Stop all services; the data is kept."),
    "reset": ("local", "Stop all services and remove all local state."),
}
"""Each command's module and the first sentence of its help."""


class LazyCommands(CommandLine):
    """Command group that imports a command's module when it is run: most need Dagster, which takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the command names, in the order of a typical session."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; return None for an unknown name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        with importing():
            loaded = import_module(f"purchase_pipeline.cli.{module}")
        command: click.Command = getattr(loaded, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the command list of `--help` without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(
    cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="purchase-pipeline")
@click.option(
    "-m", "--module", help="Module of Dagster definitions with the feed.  [default: this project's]"
)
@click.option(
    "--feed", help="Feed that the command works on.  [default: purchases, or the module's only feed]"
)
def main(*, module: str | None, feed: str | None) -> None:  # noqa: ARG001  (`feed` is read by `chosen_feed`)
    """Load an HTTP API into PostgreSQL with Dagster, batch by batch: purchases (in lotes), or a feed of your own.

    \b
    Start here:   purchase-pipeline up
    Then look:    purchase-pipeline status
    Your feed:    purchase-pipeline -m my_project.definitions --feed orders ingest

    Settings are environment variables; options override them: DATABASE_URL (default: an embedded PostgreSQL),
    DAGSTER_POSTGRES_URL (Dagster's storage; default: the database `dagster` on the same server), PURCHASE_API_URL
    (default: a mock API), PURCHASE_LOTS, PURCHASE_ROWS, PURCHASE_EVERY, PURCHASE_MAX_REJECTED_RATIO, PURCHASE_HOME
    (local state; default: .purchase in the project). With -m, also those in the file .env, as `dg` reads them.
    """
    require_own_code()
    if module is not None:
        load_dotenv(Path(".env"))
