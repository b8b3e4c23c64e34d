"""PgBouncer in front of a test's server, with the configuration that `deploy/scale` recommends."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa

from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.serving import START_DEADLINE_SECONDS, free_port
from purchase_pipeline_tests.waiting import wait_until

CONFIGURATION = Path(__file__).parent.parent / "deploy" / "scale" / "pgbouncer.ini"

_SERVER = "host=127.0.0.1 port=5432"
_PASSWORD = "of-the-bouncer"  # noqa: S105  # where the server asks for none


@dataclass(frozen=True)
class Bouncer:
    """A running PgBouncer."""

    port: int

    def url(self, direct: str) -> str:
        """Return the URL of the same database by way of the bouncer."""
        url = sa.make_url(direct)
        through = sa.URL.create(
            url.drivername, url.username, url.password or _PASSWORD, "127.0.0.1", self.port, url.database
        )
        return through.render_as_string(hide_password=False)


@contextmanager
def a_bouncer(server_url: str, **settings: object) -> Iterator[Bouncer]:
    """Run PgBouncer before a server, as recommended but for these settings.

    Raises:
        RuntimeError: it does not start.
    """
    server = sa.make_url(server_url)
    query = server.normalized_query
    host, port = server.host or query["host"][0], server.port or query.get("port", ("5432",))[0]
    bouncer = Bouncer(free_port())
    local = {"listen_port": bouncer.port, "auth_file": "userlist.txt", **settings}
    # Of a setting that is there twice the last one counts. The section of the settings is the file's last.
    recommended = CONFIGURATION.read_text().replace(_SERVER, f"host={host} port={port}")
    lines = [recommended, *(f"{name} = {value}" for name, value in local.items())]
    lines += ["[databases]", f"* = host={host} port={port}", ""]
    # As root it refuses to run, and for whom it then runs as, root's temporary folders are closed.
    with tempfile.TemporaryDirectory(prefix="bouncer-") as name:
        folder, account = Path(name), _account(host)
        (folder / "pgbouncer.ini").write_text("\n".join(lines))
        (folder / "userlist.txt").write_text(f'"{server.username}" "{_secret(server_url)}"\n')
        if account is not None:
            os.chown(folder, *account)
        with _running(folder, account) as process:
            _wait_until_it_answers(bouncer.url(server_url), process, folder / "log")
            yield bouncer


def _secret(server_url: str) -> str:
    """Return what stands beside the user's name: the server's password, or the hash of ours where it asks for none.

    A hash is how `deploy/scale` wants it: from a password PgBouncer would make one for each connection.
    """
    with psycopg.connect(server_url) as connection:
        if connection.info.password:
            return connection.info.password
        user = connection.info.user.encode()
        return connection.pgconn.encrypt_password(_PASSWORD.encode(), user, b"scram-sha-256").decode()


def _account(host: str) -> tuple[int, int] | None:
    """Return who may run it, for root alone: the owner of the server's socket, which is closed to all others."""
    if os.geteuid() != 0:
        return None
    if host.startswith("/"):
        folder = Path(host).stat()
        return folder.st_uid, folder.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


@contextmanager
def _running(folder: Path, account: tuple[int, int] | None) -> Iterator["subprocess.Popen[bytes]"]:
    user, group = account or (None, None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program("pgbouncer", package="pgbouncer"), "pgbouncer.ini"],
            user=user,
            group=group,
            extra_groups=None if account is None else [],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"PgBouncer has ended:\n{log.read_text()}")
        with suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=5).close()
            return True
        return False

    wait_until(answers, "PgBouncer's answer", START_DEADLINE_SECONDS)
