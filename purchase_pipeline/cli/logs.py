"""The `logs` command."""

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ops.logs import SERVICES, ServiceLog, print_logs


@click.command()
@click.argument("service", metavar="[SERVICE]", type=click.Choice(SERVICES), required=False)
@click.option("--follow", "-f", is_flag=True, help="Keep printing what is added, until Ctrl-C.")
@click.option(
    "--lines", "-n", type=click.IntRange(0), default=20, show_default=True, help="Last lines of each log."
)
@succeeds
def logs(*, service: str | None, follow: bool, lines: int) -> bool:
    """Show the logs of the local services.

    \b
    purchase-pipeline logs                          the last lines of all
    purchase-pipeline logs daemon --lines 100       more lines of one
    purchase-pipeline logs --follow                 and what is added

    Services are mock_api, code_server, daemon, metrics and webserver. The log of each run is in Dagster's UI.
    """
    home = read_settings().home
    chosen = [ServiceLog(home, name) for name in ([service] if service else SERVICES)]
    found = [log for log in chosen if log.path.exists()]
    if not found and not follow:
        raise click.ClickException(
            f"{home / 'logs'} has no log of {service or 'any service'}. Start the services: purchase-pipeline up"
        )
    print_logs(chosen if follow else found, lines, Console(), follow=follow)
    return True
