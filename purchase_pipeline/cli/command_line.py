"""The command line as a program among others: streams that are closed, full or know no `✓`; whose code this is."""

import errno
import io
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from purchase_pipeline.cli.errors import expected, message_of

_PACKAGE = Path(__file__).resolve().parent.parent
_OPEN_FILES = 4096


class CommandLine(click.Group):
    """Commands that print what can be printed, and say in a line when nothing can."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:  # noqa: ANN401  (as click has it)
        """Run a command, write all that it printed, and exit."""
        _open_what_is_closed()
        _allow_open_files()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            super().main(*args, **extra)
            status: object = 0
        except SystemExit as end:
            status = end.code
        except expected() as error:
            status = _tell(error)
        # Now: at the interpreter's end it is too late to say so.
        fault = _write_what_is_left(sys.stdout, 1)
        if fault is not None and not status:
            status = _tell(fault)
        _write_what_is_left(sys.stderr, 2)
        sys.exit(status)  # type: ignore[arg-type]  # as click gave it


def _open_what_is_closed() -> None:
    """Give each standard stream that is closed a place to go: else the next file opened would take it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def _allow_open_files() -> None:
    """Ask for as many files as a campaign with its processes may open: some systems allow 256 unless asked."""
    wanted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted < _OPEN_FILES:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, most), most))


def _tell(error: Exception) -> int:
    """Say what is in the way, if anybody reads, and return the exit code."""
    if not isinstance(error, BrokenPipeError):  # whoever read has enough
        with suppress(OSError):
            click.echo(f"Error: {message_of(error)}", err=True)
    return 1


def _write_what_is_left(stream: TextIO, number: int) -> OSError | None:
    """Write it; let what cannot be written go nowhere, rather than fail again at the interpreter's end."""
    try:
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
        return error
    return None


def require_own_code() -> None:
    """Refuse to work in another checkout: the `.venv` of a copied one still starts this code, on this one's data.

    Raises:
        click.ClickException: the program that was called, or the current folder, is of another checkout.
    """
    if not _is_checkout(_PACKAGE.parent):
        return
    for other in _checkouts():
        if other != _PACKAGE.parent:
            raise click.ClickException(
                f"This program belongs to {_PACKAGE.parent}, and would use the code and the data there; you called it "
                f"in {other}. There, `make status` makes its own. To use this one, change to its folder."
            )


def _checkouts() -> Iterator[Path]:
    """Return the checkouts that the called program and the current folder lie in."""
    with suppress(OSError):  # the current folder was deleted
        for place in (Path(sys.argv[0]).resolve(), Path.cwd()):
            yield from [folder for folder in (place, *place.parents) if _is_checkout(folder)][:1]


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / _PACKAGE.name / "cli" / "main.py").is_file()
