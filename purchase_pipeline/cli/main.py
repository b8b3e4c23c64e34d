"""The `purchase-pipeline` command group and the table of its commands."""

from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem
from dotenv import load_dotenv

from purchase_pipeline.cli.command_line import CommandLine, require_own_code
from purchase_pipeline.cli.completion import feed_names
from purchase_pipeline.stack.start import importing

_COMMANDS = {
    "Start": {
        "up": ("load", "Start the local stack and load every batch."),
        "ingest": ("load", "Load every missing batch now, without daemon or UI."),
    },
    "Look": {
        "status": ("inspect", "Show loaded, rejected, failed and in-progress batches."),
        "verify": ("inspect", "Compare every batch with its landed file."),
        "rejects": ("quarantine", "Show rejected rows and their reasons."),
        "metrics": ("inspect", "Print metrics for Prometheus, write them to a file, or serve them."),
        "logs": ("logs", "Show the logs of the local services."),
    },
    "Change": {
        "replay": ("load", "Revalidate landed batches after the contract has changed."),
        "prune": (
            "prune",
            "Delete landed files, rejected rows and runs that are older than their retention.",
        ),
        "new": ("new", "Write a feed from one response of an API."),
    },
    "Data": {
        "report": ("sales", "Update the sales report and open it."),
        "sql": ("sql", "Run a saved query or a statement, or list the saved queries."),
        "psql": ("sql", "Open psql on the database in use, as a role that only reads."),
        "db-url": ("local", "Print the URL of the database in use."),
    },
    "Keep": {
        "backup": ("backup", "Save data, ledger, history and landed files to one file."),
        "restore": ("backup", "Restore what `backup` has saved."),
    },
    "Stop": {
        "down": ("local", "Stop all services; the data is kept."),
        "reset": ("local", "Stop all services and remove all local state."),
    },
}
"""Commands by task: each one's module, and the first sentence of its help."""

_BY_NAME = {name: entry for commands in _COMMANDS.values() for name, entry in commands.items()}


class LazyCommands(CommandLine):
    """Command group that imports a command's module when it is run: most need Dagster, which takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the command names, in the order of a typical session."""
        return list(_BY_NAME)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; return None for an unknown name."""
        if cmd_name not in _BY_NAME:
            return None
        module, _ = _BY_NAME[cmd_name]
        with importing():
            loaded = import_module(f"purchase_pipeline.cli.{module}")
        command: click.Command = getattr(loaded, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the command list of `--help`, by task, without importing the commands."""
        width = max(map(len, _BY_NAME))
        for task, commands in _COMMANDS.items():
            with formatter.section(task):
                formatter.write_dl([(f"{name:{width}}", summary) for name, (_, summary) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing the commands, or an option."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=summary)
            for name, (_, summary) in _BY_NAME.items()
            if name.startswith(incomplete)
        ]


@click.group(
    cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="purchase-pipeline")
@click.option(
    "-m", "--module", help="Module of Dagster definitions with the feed.  [default: this project's]"
)
@click.option(
    "--feed",
    shell_complete=feed_names,
    help="Feed that the command works on.  [default: purchases, or the module's only feed]",
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

    \b
    Completion on Tab, for ~/.bashrc (zsh: zsh_source; fish: fish_source):
    eval "$(_PURCHASE_PIPELINE_COMPLETE=bash_source purchase-pipeline)"
    """
    require_own_code()
    if module is not None:
        load_dotenv(Path(".env"))
