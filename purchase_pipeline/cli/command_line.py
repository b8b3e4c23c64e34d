"""Process-level behaviour of the command line: standard streams, open-file limit, errors, checkout."""

import errno
import gc
import io
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, NoReturn, TextIO

import click

_PACKAGE = Path(__file__).resolve().parent.parent
_OPEN_FILES = 4096


class CommandLine(click.Group):
    """Command group that reports expected errors in one line and tolerates broken standard streams."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:  # noqa: ANN401  (click's signature)
        """Run a command, flush its output, and exit."""
        _open_closed_streams()
        _raise_open_file_limit()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            status: object = super().main(*args, **{**extra, "standalone_mode": False})
        except SystemExit as end:
            status = end.code
        except click.Abort:
            click.echo("Aborted!", err=True)
            status = 1
        except click.ClickException as error:
            status = _report_usage(error)
        except _expected() as error:
            status = _report(error)
        # At interpreter exit it would be too late to report a failed write.
        fault = _flush(sys.stdout, 1)
        if fault is not None and not status:
            status = _report(fault)
        _flush(sys.stderr, 2)
        gc.freeze()  # Python's exit would search all that is imported for garbage: a fifth of a command's CPU time
        sys.exit(status)  # type: ignore[arg-type]  # what click passed to sys.exit


def _open_closed_streams() -> None:
    """Open closed standard streams on /dev/null; otherwise the next opened file would get their descriptor."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def _raise_open_file_limit() -> None:
    """Raise the soft limit on open files, which is 256 on some systems."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _OPEN_FILES:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, hard), hard))


# Imported on demand: an error is rare, and completion on Tab should not wait for SQLAlchemy.
def _expected() -> tuple[type[Exception], ...]:
    from purchase_pipeline.cli.errors import expected_errors

    return expected_errors()


def _report(error: Exception) -> int:
    """Print the error to stderr and return the exit code."""
    from purchase_pipeline.cli.errors import message_of

    if not isinstance(error, BrokenPipeError):  # the reader has closed the pipe, as `head` does
        with suppress(OSError):
            click.echo(_wrapped(f"Error: {message_of(error)}"), err=True)
    return 1


def _report_usage(error: click.ClickException) -> int:
    """Print what click says of an error, and return its exit code; 1 if it cannot be printed."""
    said = io.StringIO()
    error.show(said)
    try:
        click.echo(_wrapped(said.getvalue()), err=True, nl=False)
    except OSError:
        return 1
    return error.exit_code


def _wrapped(text: str) -> str:
    """Wrap lines between words if they go to a terminal, which would break them within words."""
    if not sys.stderr.isatty():
        return text
    width = get_terminal_size().columns
    return "".join(_wrapped_line(line, width) for line in text.splitlines(keepends=True))


def _wrapped_line(line: str, width: int) -> str:
    if len(line.rstrip()) <= width:
        return line
    end = "\n" if line.endswith("\n") else ""
    return fill(line, width, break_long_words=False, break_on_hyphens=False) + end


def _flush(stream: TextIO, number: int) -> OSError | None:
    """Flush a stream; on failure, redirect it to /dev/null so that it does not fail again at interpreter exit."""
    try:
        stream.flush()
    except OSError as error:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, number)
        os.close(devnull)
        return error
    return None


def require_own_code() -> None:
    """Refuse to run from another checkout: a copied `.venv` still points to the original code and data.

    Raises:
        click.ClickException: the program or the current folder belongs to another checkout.
    """
    if not _is_checkout(_PACKAGE.parent):
        return
    for other in _checkouts():
        if other != _PACKAGE.parent:
            raise click.ClickException(
                f"This purchase-pipeline belongs to {_PACKAGE.parent} and uses the code and data there, but it was "
                f"run from {other}. Run `make status` in {other} to install its own, or change to {_PACKAGE.parent}."
            )


def _is_checkout(folder: Path) -> bool:
    # Imported on demand: `--help` needs no settings.
    from purchase_pipeline.settings import is_checkout

    return is_checkout(folder)


def _checkouts() -> Iterator[Path]:
    """Yield the checkouts that contain the running program and the current folder."""
    with suppress(OSError):  # the current folder was deleted
        for path in (Path(sys.argv[0]).resolve(), Path.cwd()):
            yield from [folder for folder in (path, *path.parents) if _is_checkout(folder)][:1]
