"""How a command ends: exit codes that scripts can trust, errors in words, a stop that leaves nothing behind."""

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

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def succeeds(command: Callable[P, bool]) -> Callable[P, None]:
    """Exit 0 when the command says yes and 1 when not, 128 + the signal when stopped; explain what goes wrong outside.

    A closed terminal (SIGHUP) and Ctrl-\\ (SIGQUIT) stop a command as Ctrl-C does: what it started runs in sessions of
    its own, and would stay. Who starts a command under nohup wants it to outlive the terminal, and it does.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # Whoever can write Dagster's configuration or a landed file decides what runs here, and what is loaded.
        os.umask(0o077)
        for each in _STOPPING:
            if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
                signal.signal(each, _stop)
        sys.exit(0 if command(*args, **kwargs) else 1)

    return run


def _stop(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Exit, with all that an exit stops. A second signal does not cut that short: it would leave processes behind."""
    for each in _STOPPING:
        if signal.getsignal(each) == _stop:
            signal.signal(each, _be_patient)  # not SIG_IGN, which a process that is started now would inherit
    _leave_a_closed_terminal()
    sys.exit(128 + signum)


def _leave_a_closed_terminal() -> None:
    """Write to nowhere from now on, where nobody reads any more: what is still to be said must not end the stop."""
    for descriptor in (1, 2):
        look = select.poll()
        look.register(descriptor, 0)
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in look.poll(0)):
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), descriptor)


def _be_patient(signum: int, frame: FrameType | None) -> None:
    """Let the stop that is under way take its time."""


def newest_settings() -> Settings:
    """Read the settings, or explain what is wrong with them."""
    with settings_errors():
        return current_settings()


@contextmanager
def settings_errors(*options: str) -> Iterator[None]:
    """Turn a setting out of its bounds into an error of usage that names the option, if it was one, or the variable."""
    try:
        yield
    except ValidationError as error:
        raise click.UsageError(explained(error, options)) from error
