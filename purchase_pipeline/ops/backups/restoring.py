"""`restore`: replace the databases and the landed files by those of a backup, all or nothing."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from zipfile import ZipFile

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.printable import few, quantity
from purchase_pipeline.ops.backups.archive import DAGSTER_DUMP, DATA_DUMP, SETTINGS, Backup, whole_archive
from purchase_pipeline.ops.backups.landed_files import LandedFiles
from purchase_pipeline.ops.backups.saving import Say, landed_files
from purchase_pipeline.ops.backups.sql_session import sql_session
from purchase_pipeline.ops.backups.tables import (
    completing_statements,
    filled_tables,
    preparing_statements,
    server_major,
)
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.daemon_lock import only_daemon
from purchase_pipeline.stack.database import (
    dagster_storage_url,
    database_in_use,
    is_embedded,
    make_roles_again,
    whole_database_urls,
)
from purchase_pipeline.stack.lock import exclusive_use
from purchase_pipeline.stack.processes import stop_leftovers

_STOPPING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
_OF_ANOTHER_SERVER = ("--no-owner", "--no-acl")
_CREATE_ROLE = "DO $$ BEGIN CREATE ROLE {} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"


class RestoreRefusedError(PipelineError):
    """The backup was not restored: there is data, or the server is older. Nothing was changed."""


def restore_backup(settings: Settings, file: Path, say: Say, *, replace: bool) -> Backup:
    """Restore a backup into a home and its databases, with nothing else running; return what it has.

    Raises:
        BackupFileError: the file is not a whole backup.
        RestoreRefusedError: there is data, and `replace` is false.
        RestoreFailedError: the database refused a statement.
        AlreadyRunningError, DaemonRunningError: something is running.
    """
    say("Checking the file ...")
    with whole_archive(file) as (archive, backup), exclusive_use(settings.home):
        stop_leftovers(settings.home)
        with database_in_use(settings), only_daemon(dagster_storage_url(settings)):
            landed = landed_files(settings) if backup.landed_files is not None else None
            _require_server(settings, backup)
            if not replace:
                _require_empty(settings, backup, landed)
            _restore(settings, archive, backup, landed, say)
            make_roles_again(settings)
        if SETTINGS in archive.namelist() and not settings.saved_file.exists():
            settings.saved_file.touch(mode=0o600)
            settings.saved_file.write_bytes(archive.read(SETTINGS))
    return backup


def _require_server(settings: Settings, backup: Backup) -> None:
    with engine_for(whole_database_urls(settings)[0]).connect() as connection:
        server = server_major(connection)
    if server < backup.postgres:
        raise RestoreRefusedError(
            f"The backup is of PostgreSQL {backup.postgres}, and the server is {server}.",
            hint="Restore it into the same major version or a newer one. Nothing was changed.",
        )


def _require_empty(settings: Settings, backup: Backup, landed: LandedFiles | None) -> None:
    data_url, dagster_url = whole_database_urls(settings)
    with engine_for(data_url).connect() as data, engine_for(dagster_url).connect() as dagster:
        found = [f"rows in {few(names)}"] if (names := filled_tables(data, backup.tables)) else []
        if sa.inspect(dagster).has_table("runs") and dagster.scalar(
            sa.text("SELECT EXISTS (SELECT FROM runs)")
        ):
            found.append("runs in Dagster's history")
    if landed and landed.exist():
        found.append("landed files")
    if found:
        raise RestoreRefusedError(
            f"There is data already: {', '.join(found)}. Nothing was changed.",
            hint="Choose an empty folder with PURCHASE_HOME, or replace the data with --replace.",
        )


def _restore(
    settings: Settings, archive: ZipFile, backup: Backup, landed: LandedFiles | None, say: Say
) -> None:
    data_url, dagster_url = whole_database_urls(settings)
    options: tuple[str, ...] = _OF_ANOTHER_SERVER
    if backup.embedded and is_embedded(settings):
        options = ()
        _make_roles_of(backup, data_url)
    with ExitStack() as opened:
        if landed:
            say(f"Extracting {quantity(backup.landed_files or 0, 'landed file')} ...")
            staged = opened.enter_context(landed.replaced_by(archive))
        data = opened.enter_context(sql_session(data_url))
        dagster = opened.enter_context(sql_session(dagster_url))
        with engine_for(data_url).connect() as connection:
            data.run(preparing_statements(connection, backup))
        for session, member in ((dagster, DAGSTER_DUMP), (data, DATA_DUMP)):
            say(f"Restoring {member} ...")
            with archive.open(member) as dump:
                session.restore(dump, options)
        data.run(completing_statements(backup))
        with _uninterrupted(), ExitStack() as undo:
            if landed:
                undo.callback(staged.withdraw)
                staged.publish()
            data.commit()
            undo.pop_all()
            dagster.commit()


def _make_roles_of(backup: Backup, url: str) -> None:
    """Create the roles that the embedded server lacks; a backup has no passwords, so they cannot log in."""
    with engine_for(url).begin() as connection:
        for role in backup.roles:
            statement = sql.SQL(_CREATE_ROLE).format(sql.Identifier(role)).as_string(None)
            connection.exec_driver_sql(statement)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay signals until the block ends: between the files and the commits, it takes some milliseconds."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
