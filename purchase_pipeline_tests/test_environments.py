"""Unusual variables, paths, limits and streams: a command works or reports the problem in one line."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from purchase_pipeline.cli.main import main
from purchase_pipeline.settings import current_settings
from purchase_pipeline_tests.person import COMMAND, Person

pytestmark = pytest.mark.programs

WORKS, FAILS, MISUSED = 0, 1, 2
LONG = "x" * 90
IDLE = "Nothing is running"
NO_HOME = "PURCHASE_HOME must be a UTF-8 path"
STARTS_AND_GOES = "$pp db-url && $pp reset --yes"
C_LOCALE = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
BEYOND_PORTS = "is not in the range 1<=x<=65535"


class Case(NamedTuple):
    """A command typed in a new folder, its exit code, and a part of its output."""

    environment: str
    typed: str
    code: int
    seen: str = ""


OPTIONS = [
    Case("a port beyond all ports", "$pp up --port 70000", MISUSED, f"'--port': 70000 {BEYOND_PORTS}"),
    Case("an API's port beyond all ports", "$pp ingest --api-port 65536", MISUSED, f"65536 {BEYOND_PORTS}"),
    Case("port 0", "$pp up --no-ui --api-port 0", MISUSED, f"'--api-port': 0 {BEYOND_PORTS}"),
    Case("a negative port", "$pp up --port=-1", MISUSED, f"'--port': -1 {BEYOND_PORTS}"),
    Case("a port that is a word", "$pp up --port http", MISUSED, "'--port': 'http' is not a valid integer"),
    Case(
        "one port twice", "$pp up --port 3171 --api-port 3171", MISUSED, "--port and --api-port must differ"
    ),
    Case("defects nan", "$pp ingest --defects nan", MISUSED, "'--defects': nan is not in the range 0<=x<=1"),
    Case("defects inf", "$pp ingest --defects inf", MISUSED, "'--defects': inf is not in the range 0<=x<=1"),
    Case("lots 0", "$pp ingest --lots 0", MISUSED, "--lots must be a whole number from 1 to 100000"),
    Case(
        "rows beyond a million", "$pp ingest --rows 2000000", MISUSED, "--rows must be a whole number from 1"
    ),
    Case(
        "defects of another API",
        "PURCHASE_API_URL=http://127.0.0.1:9 $pp ingest --defects 0.5",
        MISUSED,
        "--defects works only with the mock",
    ),
    Case("every nan", "$pp up --every nan", MISUSED, "--every must be a number from 0.1 to 86400"),
    Case("an option of none", "$pp db-url --nothing", MISUSED, "No such option '--nothing'"),
]
SETTINGS = [
    Case("PURCHASE_LOTS=abc", "PURCHASE_LOTS=abc $pp db-url", MISUSED, "from 1 to 100000, but is 'abc'"),
    Case("PURCHASE_ROWS=2000000", "PURCHASE_ROWS=2000000 $pp ingest", MISUSED, "number from 1 to 1000000"),
    Case(
        "PURCHASE_EVERY=inf", "PURCHASE_EVERY=inf $pp down", MISUSED, "PURCHASE_EVERY must be a number from"
    ),
    Case(
        "two settings out of bounds",
        "PURCHASE_LOTS=0 PURCHASE_MAX_REJECTED_RATIO=nan $pp down",
        MISUSED,
        "PURCHASE_LOTS must be a whole number from 1 to 100000, but is '0'; "
        "PURCHASE_MAX_REJECTED_RATIO must be a number above 0 to 1, but is 'nan'",
    ),
    Case("an option and its variable", "PURCHASE_LOTS=0 $pp ingest --lots 0", MISUSED, "--lots must be"),
    Case("a rate without Redis", "PURCHASE_API_RATE=1/second $pp down", MISUSED, "set PURCHASE_REDIS_URL"),
    Case("PURCHASE_API_RATE=fast", "PURCHASE_API_RATE=fast $pp down", MISUSED, "PURCHASE_API_RATE must be"),
    Case(
        "PURCHASE_API_URL=ftp://x", "PURCHASE_API_URL=ftp://x $pp down", MISUSED, "PURCHASE_API_URL must be"
    ),
    Case(
        "a blank in a port", "PURCHASE_API_URL='http://x:8 0' $pp down", MISUSED, "PURCHASE_API_URL must be"
    ),
    Case("DATABASE_URL=mysql://x/y", "DATABASE_URL=mysql://x/y $pp down", MISUSED, "DATABASE_URL must be"),
    Case("a port c", "DATABASE_URL=postgresql://a@b:c/d $pp down", MISUSED, "DATABASE_URL must be"),
]
VARIABLES = [
    Case("HOME unset", "env -u HOME $pp down", WORKS, IDLE),
    Case("TZ of nowhere", "TZ=Nowhere/None $pp down", WORKS, IDLE),
    Case("TERM=dumb", "TERM=dumb $pp down", WORKS, IDLE),
    Case("COLUMNS of no number", "COLUMNS=wide $pp sql", WORKS, "revenue-by-month"),
    Case("PYTHONWARNINGS=error", "PYTHONWARNINGS=error $pp down", WORKS, IDLE),
    Case("PYTHONOPTIMIZE=2", "PYTHONOPTIMIZE=2 $pp down", WORKS, IDLE),
]
PATHS = [
    Case(
        "a home that is a file", "touch f; PURCHASE_HOME=f $pp db-url", FAILS, "Set PURCHASE_HOME to choose"
    ),
    Case("a file as a campaign's home", "touch f; PURCHASE_HOME=f $pp ingest", FAILS, "PURCHASE_HOME"),
    Case("a home below a file", "touch f; PURCHASE_HOME=f/g $pp ingest", FAILS, "PURCHASE_HOME"),
    Case("a home of too long a name", f"PURCHASE_HOME={LONG * 3} $pp db-url", FAILS, "File name too long: "),
    Case("a home with a line break", "PURCHASE_HOME=$'a\nb' $pp down", MISUSED, NO_HOME),
    Case("a home that is no UTF-8", r"PURCHASE_HOME=$'a\xff' $pp down", MISUSED, NO_HOME),
    Case(
        "a relative home with #, %20, a blank, a quote, a comma and accents",
        f"""export PURCHASE_HOME="#a%20b 'c,ação"; {STARTS_AND_GOES}""",
        WORKS,
        "/#a%20b 'c,ação.",
    ),
    Case("a long home", f"export PURCHASE_HOME={LONG}/{LONG}; {STARTS_AND_GOES}", WORKS, "xx."),
    Case(
        "a landing that is a file",
        "touch f; PURCHASE_LANDING=f $pp ingest",
        FAILS,
        "another folder with PURCHASE_LANDING",
    ),
    Case("a current folder that is gone", "mkdir d; cd d; rmdir ../d; $pp down", WORKS, IDLE),
]
LIMITS = [
    Case("few open files, that may be more", f"ulimit -Sn 20; {STARTS_AND_GOES}", WORKS, "Removed"),
    Case("few open files, and no more", "ulimit -n 12; $pp db-url", FAILS),
    Case("umask 777", "umask 777; $pp down", WORKS, IDLE),
]
FULL = "Error: No space left on device."
STREAMS = [
    Case("help to a full disk", "$pp --help >/dev/full", FAILS, FULL),
    Case("output to a full disk", "$pp sql >/dev/full", FAILS, FULL),
    Case("an error to a full disk", "$pp db-url --nothing 2>/dev/full", FAILS),
    Case("help to a full disk, unbuffered", "PYTHONUNBUFFERED=1 $pp --help >/dev/full", FAILS, FULL),
    Case("output to a full disk, unbuffered", "PYTHONUNBUFFERED=1 $pp sql >/dev/full", FAILS, FULL),
    Case("an error to a full disk, unbuffered", "PYTHONUNBUFFERED=1 $pp db-url --nothing 2>/dev/full", FAILS),
    Case("output closed", "$pp down >&-", WORKS),
    Case("output closed, for SQL", "$pp sql --show revenue-by-month >&-", WORKS),
    Case("errors closed", "$pp db-url --nothing 2>&-", MISUSED),
    Case("input closed", "$pp down <&-", WORKS, IDLE),
    Case("nobody there to say yes", "$pp reset <&-", FAILS, "Aborted!"),
    Case("a reader that has enough", "$pp sql --show revenue-by-month | true", WORKS),
    Case("ASCII alone", "PYTHONIOENCODING=ascii PURCHASE_HOME=ação $pp reset --yes", WORKS, "/a"),
    Case("Latin-1", "PYTHONIOENCODING=latin-1 PURCHASE_HOME=日本 $pp reset --yes", WORKS, "\\u65e5\\u672c."),
    Case("the C locale", f"{C_LOCALE} $pp sql", WORKS, "revenue-by-month"),
    Case("the C locale, accents", f"{C_LOCALE} PURCHASE_HOME=ação $pp down", MISUSED, NO_HOME),
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def typed(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PURCHASE_HOME": str(folder / "home"), "COLUMNS": "200", "pp": str(COMMAND)}
    del variables["PURCHASE_LOTS"]
    variables.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=folder,
        env=variables | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
        check=False,
    )


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """Return the words and the variables of a command."""
    words = shlex.split(line)
    name = words.index("$pp")
    return words[name + 1 :], dict(word.split("=", 1) for word in words[:name])


@pytest.mark.parametrize("case", [pytest.param(case, id=case.environment) for case in (*OPTIONS, *SETTINGS)])
def test_an_invalid_option_or_setting_is_explained(case: Case) -> None:
    words, variables = parsed(case.typed)
    current_settings.cache_clear()

    done = CliRunner().invoke(main, words, env=variables, terminal_width=200)

    assert done.exit_code == case.code, done.output
    assert case.seen in done.output


def marked(case: Case) -> object:
    starts_server = STARTS_AND_GOES in case.typed
    return pytest.param(case, marks=pytest.mark.database if starts_server else (), id=case.environment)


@pytest.mark.parametrize("case", [marked(case) for case in (*VARIABLES, *PATHS, *LIMITS, *STREAMS)])
def test_a_command_works_in_this_environment_or_reports_the_problem(case: Case, folder: Path) -> None:
    done = typed(case.typed, folder)

    printed = done.stdout + done.stderr
    assert done.returncode == case.code, printed
    assert "Traceback" not in printed
    assert "Exception ignored" not in printed
    assert case.seen in printed
    if case.code == FAILS and case.seen:
        assert len(printed.splitlines()) == 1, printed


@pytest.mark.proof
def test_up_works_in_the_c_locale_with_an_unusual_temporary_folder(person: Person, tmp_path: Path) -> None:
    temporary = tmp_path / "a %20 #b" / LONG
    temporary.mkdir(parents=True)

    done = person.up(
        "--lots",
        "1",
        "--rows",
        "50",
        TMPDIR=str(temporary),
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 batches loaded" in done.stdout


def copied_checkout(folder: Path) -> Path:
    """A checkout copied with `cp -R`: its programs point to the Python of the original."""
    copy = folder / "copy"
    (copy / "purchase_pipeline").mkdir(parents=True)
    (copy / "pyproject.toml").touch()
    (copy / "purchase_pipeline" / "settings.py").touch()
    (copy / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(COMMAND, copy / ".venv" / "bin")
    return copy


@pytest.mark.parametrize("line", ["copy/.venv/bin/purchase-pipeline reset --yes", "cd copy; $pp reset --yes"])
def test_a_copied_checkout_does_not_touch_the_original(folder: Path, line: str) -> None:
    copy = copied_checkout(folder)

    done = typed(line, folder)

    original = Path(sys.modules["purchase_pipeline"].__path__[0]).parent
    assert done.returncode == 1
    assert f"This purchase-pipeline belongs to {original}" in done.stderr
    assert f"run from {copy}" in done.stderr
    assert done.stdout == ""
