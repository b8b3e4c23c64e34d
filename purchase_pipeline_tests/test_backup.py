"""`backup` and `restore`: everything comes back, or nothing changes."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any
from zipfile import ZipFile

import psycopg
import pytest

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ops.backups.archive import Backup, BackupFileError
from purchase_pipeline.ops.backups.restoring import RestoreRefusedError, restore_backup
from purchase_pipeline.ops.backups.saving import save_backup
from purchase_pipeline.ops.backups.sql_session import RestoreFailedError
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, Settings
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.lock import AlreadyRunningError, exclusive_use
from purchase_pipeline.stack.roles import READER
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.landed import land_lines
from purchase_pipeline_tests.person import Person, copy_home
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.proof

TABLES = ("tabela_compras", "compras_rejeitadas", "slice_ledger")
OIDS = "SELECT count(*) FILTER (WHERE table_oid <> asset::regclass::oid) FROM slice_ledger WHERE asset = ANY (%s)"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, prepared: Person) -> Iterator[Person]:
    """A person with three batches in hash partitions, some rows rejected."""
    person = Person(tmp_path_factory.mktemp("people") / "home")
    copy_home(prepared.home, person.home)
    try:
        ended = person.ingest(
            "--lots", "3", "--rows", "500", "--defects", "0.02", PURCHASE_HASH_PARTITIONS="2"
        )
        assert ended.returncode == 0, ended.stdout
        person.database_url()  # keeps the server running
        yield person
    finally:
        person.leave()


@pytest.fixture(scope="module")
def file(loaded: Person) -> Path:
    """A backup of it."""
    path = loaded.home.parent / "purchases.zip"
    save_backup(settings_of(loaded), path, quiet)
    return path


@pytest.fixture
def other(tmp_path: Path, prepared: Person) -> Iterator[Person]:
    """A person with empty databases."""
    person = Person(tmp_path / "home")
    copy_home(prepared.home, person.home)
    yield person
    person.leave()


def quiet(text: str) -> None:
    assert text


def settings_of(person: Person, **values: Any) -> Settings:  # noqa: ANN401  (any setting)
    return Settings(home=person.home, **values)


def rows_of(url: str) -> dict[str, list[str]]:
    """Every row of the tables as text, without the OIDs, in order."""
    with psycopg.connect(url) as connection:
        return {
            table: [
                json.dumps({**row, "table_oid": None}, sort_keys=True)
                for (row,) in connection.execute(f"SELECT to_jsonb({table}) FROM {table} ORDER BY 1".encode())  # noqa: S608
            ]
            for table in TABLES
        }


def files_of(person: Person) -> dict[str, bytes]:
    return {
        path.relative_to(person.home).as_posix(): path.read_bytes()
        for path in (person.home / "landing").rglob("*")
        if path.is_file()
    }


def history_of(person: Person) -> list[str]:
    """The runs in Dagster's history."""
    person.database_url()
    storage = EmbeddedPostgres(person.home / "postgres").url(DAGSTER_DATABASE_NAME)
    with psycopg.connect(storage) as connection:
        return [run for (run,) in connection.execute("SELECT run_id FROM runs ORDER BY id")]


def everything_of(person: Person) -> tuple[object, ...]:
    return rows_of(person.database_url()), files_of(person), history_of(person)


def test_after_reset_and_restore_all_is_as_before_and_nothing_is_missing(newcomer: Person) -> None:
    assert newcomer.up("--lots", "3", "--rows", "500", "--defects", "0.02").returncode == 0
    file = newcomer.home.parent / "purchases.zip"
    before = everything_of(newcomer)

    saved = newcomer.run("backup", str(file))
    assert newcomer.run("reset", "--yes").returncode == 0
    restored = newcomer.run("restore", str(file))

    assert (saved.returncode, restored.returncode) == (0, 0), saved.stderr + restored.stderr
    assert file.stat().st_mode & 0o077 == 0
    assert everything_of(newcomer) == before
    verified, status = newcomer.run_all(["verify"], ["status"])
    assert (verified.returncode, "no differences" in verified.stdout) == (0, True)
    assert "3 of 3 batches loaded" in status.stdout
    again = newcomer.up("--lots", "3", "--rows", "500")
    assert again.returncode == 0
    assert everything_of(newcomer)[:2] == before[:2]
    with psycopg.connect(newcomer.database_url()) as connection:
        assert connection.execute(OIDS, [list(TABLES)]).fetchone() == (0,)
        readable = connection.execute("SELECT has_table_privilege(%s, 'tabela_compras', 'SELECT')", [READER])
        assert readable.fetchone() == (True,)
    newcomer.run("down")


def test_a_backup_while_batches_are_loaded_is_of_one_moment(person: Person, tmp_path: Path) -> None:
    file, lots = tmp_path / "purchases.zip", 8
    loading = person.start(*person.up_words("--lots", str(lots), "--rows", "2000"))
    settings = settings_of(person)
    assert loading.stdout is not None
    try:
        next(line for line in loading.stdout if line.startswith("✓"))  # the first batch is committed
        saved = save_backup(settings, file, quiet)
    finally:
        loading.send_signal(signal.SIGINT)
        loading.communicate(timeout=120)
    assert person.run("reset", "--yes").returncode == 0

    restore_backup(settings, file, quiet, replace=False)

    assert saved.differing == []
    verified = person.run("verify")
    assert (verified.returncode, "no differences" in verified.stdout) == (0, True), verified.stdout
    assert person.ingest("--lots", str(lots), "--rows", "2000").returncode == 0
    assert person.counts()[1] == lots


def test_a_home_with_data_is_refused_without_replace(loaded: Person, file: Path) -> None:
    before = everything_of(loaded)

    ended = loaded.run("restore", str(file))

    assert ended.returncode == 1
    assert ended.stderr == (
        "Error: There is data already: rows in compras_rejeitadas, slice_ledger, tabela_compras, runs in Dagster's "
        "history, landed files. Nothing was changed. Choose an empty folder with PURCHASE_HOME, or replace the data "
        "with --replace.\n"
    )
    assert everything_of(loaded) == before


def test_with_replace_the_data_is_that_of_the_backup(loaded: Person, file: Path) -> None:
    before = everything_of(loaded)
    with psycopg.connect(loaded.database_url()) as connection:
        connection.execute("DELETE FROM tabela_compras WHERE lote = 'lote-0002'")
    (loaded.home / "landing" / "lote-0003.json").unlink()
    (loaded.home / "landing" / "orders").mkdir()
    (loaded.home / "landing" / "orders" / "2026-01-01.json").write_text("{}")

    restore_backup(settings_of(loaded), file, quiet, replace=True)

    assert everything_of(loaded) == before
    assert not list((loaded.home / "landing").glob(".*"))


def test_feeds_have_their_folders_and_custom_roles_their_privileges(
    loaded: Person, other: Person, tmp_path: Path
) -> None:
    file = tmp_path / "purchases.zip"
    feed = loaded.home / "landing" / "orders"
    feed.mkdir()
    (feed / "2026-01-01.json").write_text("{}")
    superuser = EmbeddedPostgres(loaded.home / "postgres").url
    with psycopg.connect(superuser("etl_fakedata")) as connection:
        connection.execute("CREATE ROLE analyst LOGIN; GRANT SELECT ON tabela_compras TO analyst")
    save_backup(settings_of(loaded), file, quiet)
    (feed / "2026-01-01.json").unlink()
    feed.rmdir()

    restore_backup(settings_of(other), file, quiet, replace=False)

    assert files_of(other)["landing/orders/2026-01-01.json"] == b"{}"
    with psycopg.connect(other.database_url()) as connection:
        query = "SELECT has_table_privilege('analyst', 'tabela_compras', 'SELECT')"
        assert connection.execute(query.encode()).fetchone() == (True,)


def cut(file: Path, to: Path) -> None:
    to.write_bytes(file.read_bytes()[:-1000])


def flip_a_bit(file: Path, to: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 3] ^= 1
    to.write_bytes(text)


def leave_out(name: str, file: Path, to: Path, **changed: object) -> None:
    with ZipFile(file) as source, ZipFile(to, "w") as target:
        for each in source.namelist():
            if each == "manifest.json" and changed:
                target.writestr(each, json.dumps({**json.loads(source.read(each)), **changed}))
            elif each != name:
                target.writestr(each, source.read(each))


def leave_out_a_dump(file: Path, to: Path) -> None:
    leave_out("dagster.dump", file, to)


def leave_out_a_landed_file(file: Path, to: Path) -> None:
    leave_out("landing/lote-0002.json", file, to)


def leave_out_the_manifest(file: Path, to: Path) -> None:
    leave_out("manifest.json", file, to)


def be_of_a_later_format(file: Path, to: Path) -> None:
    leave_out("", file, to, format=2)


def be_something_else(file: Path, to: Path) -> None:
    to.write_text(f"not {file}")


@pytest.mark.parametrize(
    "harm",
    [
        cut,
        flip_a_bit,
        leave_out_a_dump,
        leave_out_a_landed_file,
        leave_out_the_manifest,
        be_of_a_later_format,
        be_something_else,
    ],
)
def test_a_file_that_is_not_whole_is_refused_before_anything_is_touched(
    loaded: Person, file: Path, tmp_path: Path, harm: Callable[[Path, Path], None]
) -> None:
    harmed = tmp_path / "harmed.zip"
    harm(file, harmed)
    before = everything_of(loaded)

    with pytest.raises(BackupFileError, match=r"harmed\.zip (is|lacks)"):
        restore_backup(settings_of(loaded), harmed, quiet, replace=True)

    assert everything_of(loaded) == before


def test_a_backup_of_a_newer_server_is_refused(loaded: Person, file: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.zip"
    leave_out("", file, newer, postgres=99)

    with pytest.raises(RestoreRefusedError, match="is of PostgreSQL 99, and the server is 18"):
        restore_backup(settings_of(loaded), newer, quiet, replace=True)


def test_a_statement_that_fails_leaves_everything_as_it_was(loaded: Person, file: Path) -> None:
    with psycopg.connect(loaded.database_url()) as connection:
        connection.execute("CREATE VIEW of_my_own AS SELECT * FROM tabela_compras")
    before = everything_of(loaded)

    with pytest.raises(RestoreFailedError, match="other objects depend on it"):
        restore_backup(settings_of(loaded), file, quiet, replace=True)

    assert everything_of(loaded) == before
    with psycopg.connect(loaded.database_url()) as connection:
        connection.execute("DROP VIEW of_my_own")


def test_rows_that_are_not_those_counted_undo_the_restore(loaded: Person, file: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer.zip"
    with ZipFile(file) as source:
        saved = Backup.model_validate_json(source.read("manifest.json"))
    tables = [
        {**table.model_dump(), "rows": table.rows + (table.name == "tabela_compras")}
        for table in saved.tables
    ]
    leave_out("", file, fewer, tables=tables)
    before = everything_of(loaded)

    with pytest.raises(RestoreFailedError, match=r"table tabela_compras does not have the 1,?\d+ rows"):
        restore_backup(settings_of(loaded), fewer, quiet, replace=True)

    assert everything_of(loaded) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_restore_leaves_everything_as_it_was(
    loaded: Person, file: Path, number: signal.Signals
) -> None:
    before = everything_of(loaded)
    with psycopg.connect(loaded.database_url()) as connection:
        connection.execute("LOCK TABLE tabela_compras IN ACCESS SHARE MODE")  # the restore waits for it
        waiting = b"SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        with loaded.start("restore", "--replace", str(file)) as restoring:
            wait_until(lambda: connection.execute(waiting).rowcount > 0)
            assert list((loaded.home / "landing").glob(".restoring"))
            restoring.send_signal(number)
            code = restoring.wait(60)

    assert code == (143 if number == signal.SIGTERM else -number)
    assert everything_of(loaded)[0] == before[0]
    assert history_of(loaded) == before[2]
    visible = {name: text for name, text in files_of(loaded).items() if "/." not in name}
    assert visible == before[1]
    restore_backup(settings_of(loaded), file, quiet, replace=True)
    assert everything_of(loaded) == before


def test_a_restore_is_refused_while_a_run_has_the_home(loaded: Person, file: Path) -> None:
    with (
        exclusive_use(loaded.home),
        pytest.raises(AlreadyRunningError, match=rf"PID {os.getpid()}\) is using"),
    ):
        restore_backup(settings_of(loaded), file, quiet, replace=True)


def test_a_batch_that_has_landed_again_is_waited_for(loaded: Person, file: Path, tmp_path: Path) -> None:
    landing = landing_at(str(loaded.home / "landing"))
    again = land_lines(landing, "lote-0001", b'{"new": 1}')
    said = list[str]()

    def load() -> None:
        with psycopg.connect(loaded.database_url()) as connection:
            connection.execute(
                "UPDATE slice_ledger SET digest = %s WHERE partition = 'lote-0001'", [again.digest]
            )

    loader = Timer(1.5, load)
    loader.start()
    saved = save_backup(settings_of(loaded), tmp_path / "purchases.zip", said.append)
    loader.join()

    assert "Waiting until lote-0001 is loaded ..." in said
    assert saved.differing == []
    with ZipFile(tmp_path / "purchases.zip") as archive:
        assert f"landing/{again.file_name}" in archive.namelist()
    restore_backup(settings_of(loaded), file, quiet, replace=True)


def test_an_interrupted_backup_leaves_the_last_one(loaded: Person, tmp_path: Path) -> None:
    last = tmp_path / "purchases.zip"
    last.write_bytes(b"the last one")
    with psycopg.connect(loaded.database_url()) as connection:
        connection.execute("LOCK TABLE tabela_compras IN ACCESS EXCLUSIVE MODE")  # pg_dump waits for it
        waiting = b"SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'"
        with loaded.start("backup", str(last)) as saving:
            wait_until(lambda: connection.execute(waiting).rowcount > 0)
            saving.send_signal(signal.SIGTERM)
            code = saving.wait(60)

    assert code == 143
    assert [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()] == [b"the last one"]


def test_deleted_landed_files_are_no_obstacle(
    loaded: Person, file: Path, other: Person, tmp_path: Path
) -> None:
    for path in (loaded.home / "landing").glob("lote-0001.*"):
        path.unlink()
    expected = everything_of(loaded)

    saved = save_backup(settings_of(loaded), tmp_path / "purchases.zip", quiet)
    restore_backup(settings_of(other), tmp_path / "purchases.zip", quiet, replace=False)

    assert saved.backup.landed_files == 4
    assert everything_of(other) == expected
    restore_backup(settings_of(loaded), file, quiet, replace=True)


def test_the_files_of_a_bucket_are_not_in_the_backup_and_stay(loaded: Person, tmp_path: Path) -> None:
    before = everything_of(loaded)
    in_bucket = tmp_path / "purchases.zip"

    ended = loaded.run("backup", str(in_bucket), PURCHASE_LANDING="s3://some-bucket/lots")
    restore_backup(settings_of(loaded), in_bucket, quiet, replace=True)

    assert "without the landed files, which are in s3://some-bucket/lots" in ended.stdout
    assert everything_of(loaded) == before


def test_data_of_an_own_server_moves_to_the_embedded_one_and_back(
    other: Person, databases: Databases, tmp_path: Path
) -> None:
    data, dagster = databases.take(), databases.take()
    urls = {"DATABASE_URL": databases.url(data), "DAGSTER_POSTGRES_URL": databases.url(dagster)}
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    try:
        loading = other.ingest("--lots", "2", "--rows", "300", **urls)
        assert loading.returncode == 0, loading.stdout
        before = rows_of(urls["DATABASE_URL"])

        assert other.run("backup", str(first), **urls).returncode == 0
        moved = other.run("restore", "--replace", str(first))
        in_the_embedded = rows_of(other.database_url())
        with psycopg.connect(other.database_url()) as connection:
            connection.execute("DELETE FROM tabela_compras WHERE lote = 'lote-0002'")  # as its owner
            connection.rollback()
        assert other.run("backup", str(second)).returncode == 0
        back = other.run("restore", "--replace", str(second), **urls)

        assert (moved.returncode, back.returncode) == (0, 0), moved.stderr + back.stderr
        assert in_the_embedded == before
        assert rows_of(urls["DATABASE_URL"]) == before
        assert other.run("verify", **urls).returncode == 0
    finally:
        databases.give_back(data)
        databases.give_back(dagster)
