"""How a command ends: exit codes that scripts can trust, errors in words, a stop that leaves nothing behind."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import NoReturn, ParamSpec

import click
from pydantic import ValidationError

from purchase_pipeline.commands.failures import expected, in_words
from purchase_pipeline.settings import Settings, current_settings, explained

P = ParamSpec("P")


def succeeds(command: Callable[P, bool]) -> Callable[P, None]:
    """Exit 0 when the command says yes and 1 when not, 130 or 143 when stopped; explain what goes wrong outside."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        try:
            sys.exit(0 if command(*args, **kwargs) else 1)
        except BrokenPipeError:
            raise  # for who prints: there is nobody to explain it to
        except expected() as error:
            raise click.ClickException(in_words(error)) from error

    return run


def _stop(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Exit, with all that an exit stops. A second signal does not cut that short: it would leave processes behind."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _be_patient)  # not SIG_IGN, which a process that is started now would inherit
    sys.exit(128 + signum)


def _be_patient(signum: int, frame: FrameType | None) -> None:
    """Let the stop that is under way take its time."""


def newest_settings() -> Settings:
    """Read the settings, or explain what is wrong with them."""
    with bounds_explained():
        return current_settings()


@contextmanager
def bounds_explained(*options: str) -> Iterator[None]:
    """Turn a setting out of its bounds into an error of usage that names the option, if it was one, or the variable."""
    try:
        yield
    except ValidationError as error:
        raise click.UsageError(explained(error, options)) from error
