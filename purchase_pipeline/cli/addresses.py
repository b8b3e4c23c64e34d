"""Addresses and ports as options of commands."""

from ipaddress import ip_address

import click

from purchase_pipeline.stack.ports import LOOPBACK

PORT = click.IntRange(1, 65_535)


def checked_address(context: click.Context, option: click.Parameter, host: str) -> str:  # noqa: ARG001  (click's signature)
    """Return an IP address in its usual form; refuse anything else."""
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise click.BadParameter(f"{host!r} is not an IP address such as {LOOPBACK} or ::1.") from error
