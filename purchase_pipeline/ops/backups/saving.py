"""`backup`: the databases and the landed files of one moment, in one file."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import NamedTuple
from zipfile import ZipFile

import sqlalchemy as sa

from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME
from purchase_pipeline.ops.backups.archive import (
    DAGSTER_DUMP,
    DATA_DUMP,
    SETTINGS,
    Backup,
    add_manifest,
    written_archive,
)
from purchase_pipeline.ops.backups.landed_files import LandedFiles
from purchase_pipeline.ops.backups.tables import ledger_digests, role_names, saved_tables, server_major
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.client_programs import ClientProgramError, client_program, libpq_variables
from purchase_pipeline.stack.database import database_in_use, is_embedded, whole_database_urls

Say = Callable[[str], None]

_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.5
_CHUNK_BYTES = 1 << 20
_NOT_OF_ANOTHER_HOME = "PURCHASE_LANDING="
_NO_TIMEOUTS = sa.text("""
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
""")


class Saved(NamedTuple):
    """A backup that was written, and the batches whose rows are not those of their landed files."""

    backup: Backup
    differing: list[str]


def save_backup(settings: Settings, file: Path, say: Say) -> Saved:
    """Write a backup of one moment, while batches may be loaded. Until it is complete, the file stays as it was.

    Landing waits while the landed files are copied, so nothing replaces the file of a batch in the snapshot. A batch
    that has landed again and is being loaded is waited for.

    Raises:
        ClientProgramError: there is no pg_dump for the server, or it failed.
    """
    landed = landed_files(settings)
    with database_in_use(settings), written_archive(file) as archive, ExitStack() as snapshots:
        data_url, dagster_url = whole_database_urls(settings)
        _wait_for_loads(data_url, landed, say)
        with landed.locked() if landed else ExitStack():
            data = snapshots.enter_context(_snapshot(data_url))
            dagster = snapshots.enter_context(_snapshot(dagster_url))
            differing = _being_reloaded(data, landed)
            say("Copying the landed files ...")
            files = landed.save(archive) if landed else None
        _dump(archive, DATA_DUMP, data_url, data, say)
        _dump(archive, DAGSTER_DUMP, dagster_url, dagster, say)
        _add_settings(archive, settings)
        say("Counting rows ...")
        backup = Backup(
            version=version("purchase-pipeline"),
            postgres=server_major(data),
            embedded=is_embedded(settings),
            roles=role_names(data) if is_embedded(settings) else (),
            created_at=datetime.now(UTC),
            tables=saved_tables(data),
            landing=settings.landing_location,
            landed_files=files,
        )
        add_manifest(archive, backup)
    return Saved(backup, differing)


def landed_files(settings: Settings) -> LandedFiles | None:
    """Return the landing if it is a folder; a bucket has backups of its own."""
    location = settings.landing_location
    return None if location.startswith(BUCKET_SCHEME) else LandedFiles(Path(location))


@contextmanager
def _snapshot(url: str) -> Iterator[sa.Connection]:
    with engine_for(url).connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        connection.execute(_NO_TIMEOUTS)
        yield connection


def _wait_for_loads(url: str, landed: LandedFiles | None, say: Say) -> None:
    deadline = monotonic() + _WAIT_SECONDS
    while monotonic() < deadline:
        with _snapshot(url) as data:
            if not (keys := _being_reloaded(data, landed)):
                return
        say(f"Waiting until {keys[0]} is loaded ...")
        sleep(_POLL_SECONDS)


def _being_reloaded(data: sa.Connection, landed: LandedFiles | None) -> list[str]:
    """Return the batches that were loaded, and have landed again since."""
    recent = list(landed.recent()) if landed else []
    digests = ledger_digests(data, [partition.partition for _, partition in recent])
    differing = set[str]()
    for feed, partition in recent:
        known = {
            digest for asset, key, digest in digests if key == partition.partition and feed in {"", asset}
        }
        if known and partition.digest not in known:
            differing.add(partition.partition)
    return sorted(differing)


def _dump(archive: ZipFile, member: str, url: str, snapshot: sa.Connection, say: Say) -> None:
    program = client_program("pg_dump", server=server_major(snapshot))
    exported = snapshot.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()
    command = [str(program), "--format=custom", f"--snapshot={exported}", "--no-password"]
    environment = {**os.environ, **libpq_variables(url)}
    with (
        TemporaryFile() as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            _copy(process, archive, member, say)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
        if code:
            errors.seek(0)
            raise ClientProgramError(f"pg_dump failed: {errors.read().decode(errors='replace').strip()}")


def _copy(process: "subprocess.Popen[bytes]", archive: ZipFile, member: str, say: Say) -> None:
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    copied = 0
    with archive.open(member, "w", force_zip64=True) as target:
        while chunk := process.stdout.read(_CHUNK_BYTES):
            target.write(chunk)
            copied += len(chunk)
            say(f"Writing {member}: {copied / 1e6:,.0f} MB ...")


def _add_settings(archive: ZipFile, settings: Settings) -> None:
    if settings.saved_file.exists():
        lines = settings.saved_file.read_text(encoding="utf-8").splitlines(keepends=True)
        archive.writestr(
            SETTINGS, "".join(line for line in lines if not line.startswith(_NOT_OF_ANOTHER_HOME))
        )
