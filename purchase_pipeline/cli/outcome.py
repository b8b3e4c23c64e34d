"""How a command ends: exit codes, usage errors from settings, and signals."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import NoReturn, ParamSpec

import click
from pydantic import ValidationError

from purchase_pipeline.settings import Settings, current_settings, explained

P = ParamSpec("P")

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that stop a command."""


def succeeds(command: Callable[P, bool]) -> Callable[P, None]:
    """Exit 0 if the command returns true, 1 if false, 128 + the signal number if a signal stops it.

    A closed terminal (SIGHUP) and Ctrl-\\ (SIGQUIT) stop a command as Ctrl-C does: its child processes have sessions of
    their own and would keep running. Under nohup, SIGHUP stays ignored.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # Anyone who could write Dagster's configuration or a landed file could run code here or change the data.
        os.umask(0o077)
        for each in STOPPING:
            if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
                signal.signal(each, _stop)
        sys.exit(0 if command(*args, **kwargs) else 1)

    return run


def _stop(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Exit, which stops all child processes; further signals are ignored until that is done."""
    for each in STOPPING:
        if signal.getsignal(each) == _stop:
            signal.signal(each, _ignore)  # not SIG_IGN, which child processes would inherit
    _redirect_closed_terminal()
    sys.exit(128 + signum)


def _redirect_closed_terminal() -> None:
    """Redirect what prints to /dev/null if its reader is gone: a failed write would interrupt the shutdown."""
    for descriptor in (1, 2):  # stdout and stderr
        poll = select.poll()
        poll.register(descriptor, 0)
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0)):
            with Path(os.devnull).open("wb") as devnull:
                os.dup2(devnull.fileno(), descriptor)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Do nothing: the shutdown is already in progress."""


def chosen_module() -> str | None:
    """Return the module that the command line names; None for this project's own."""
    module: str | None = click.get_current_context().find_root().params.get("module")
    return module


def read_settings() -> Settings:
    """Read the settings; an invalid one is a usage error."""
    with settings_errors():
        return current_settings()


@contextmanager
def settings_errors(*options: str) -> Iterator[None]:
    """Turn an invalid setting into a usage error that names the option, if one was used, or the variable."""
    try:
        yield
    except ValidationError as error:
        raise click.UsageError(explained(error, options)) from error
