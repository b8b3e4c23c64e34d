"""Ledgers of older and newer versions: read as they are, upgraded by the first write, or refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.ingest.tables import feed_tables
from purchase_pipeline.ingest.writing import Write
from purchase_pipeline.postgres.errors import LedgerVersionError
from purchase_pipeline.postgres.slices.ledger import LEDGER_VERSION, ledger_table
from purchase_pipeline.postgres.slices.ledger_versions import ledger_version, prepare_ledger

_VERSION_1 = """
    CREATE TABLE slice_ledger (asset text, partition text, run_id text NOT NULL, rows bigint NOT NULL,
    source_rows bigint, digest text, committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (asset, partition));
    INSERT INTO slice_ledger VALUES ('things', 'west', 'old', 9, 9, 'sha256:0', '2026-11-28')
"""
_VERSION_2 = f"""{_VERSION_1};
    ALTER TABLE slice_ledger ADD rows_inserted bigint, ADD rows_updated bigint, ADD rows_unchanged bigint,
    ADD rows_older bigint, ADD table_oid bigint, ADD cut_by text
"""
_VERSION_3 = f"{_VERSION_2}; ALTER TABLE slice_ledger ADD cursor text"
_NEWER = "COMMENT ON TABLE slice_ledger IS 'One row per slice (version 99)'"
_COLUMNS = """
    SELECT attname, format_type(atttypid, NULL), attnotnull FROM pg_attribute
    WHERE attrelid = 'slice_ledger'::regclass AND attnum > 7 ORDER BY attname
"""
_COMMENT = "SELECT obj_description('slice_ledger'::regclass)"
_PUBLIC = "public"


class Order(BaseModel):
    """An order."""

    order_id: int


def run(engine: sa.Engine, statements: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statements)


def prepare(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        prepare_ledger(connection, _PUBLIC)


def version_in(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return ledger_version(connection)


def rows_of(engine: sa.Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_a_new_ledger_has_the_newest_version(engine: sa.Engine) -> None:
    assert version_in(engine) == 0

    prepare(engine)

    assert version_in(engine) == LEDGER_VERSION
    assert rows_of(engine, _COMMENT) == [(ledger_table().comment,)]
    assert f"(version {LEDGER_VERSION})" in str(ledger_table().comment)


@pytest.mark.parametrize(("made", "version"), [(_VERSION_1, 1), (_VERSION_2, 2), (_VERSION_3, 3)])
def test_an_older_ledger_becomes_like_a_new_one_and_keeps_its_entries(
    engine: sa.Engine, made: str, version: int
) -> None:
    prepare(engine)
    new = rows_of(engine, _COLUMNS)
    run(engine, f"DROP TABLE slice_ledger; {made}")
    before = rows_of(engine, "SELECT asset, partition, rows, committed_at FROM slice_ledger")
    assert version_in(engine) == version

    prepare(engine)

    assert version_in(engine) == LEDGER_VERSION
    assert rows_of(engine, _COLUMNS) == new
    assert rows_of(engine, _COMMENT) == [(ledger_table().comment,)]
    assert rows_of(engine, "SELECT asset, partition, rows, committed_at FROM slice_ledger") == before


def test_a_ledger_without_a_comment_and_with_a_column_of_its_owners_is_used_as_it_is(
    engine: sa.Engine,
) -> None:
    prepare(engine)
    run(engine, "COMMENT ON TABLE slice_ledger IS NULL; ALTER TABLE slice_ledger ADD note text")

    prepare(engine)

    assert version_in(engine) == LEDGER_VERSION
    assert rows_of(engine, _COMMENT) == [(None,)]


def test_a_column_that_a_restore_lost_is_added_again(engine: sa.Engine) -> None:
    prepare(engine)
    run(engine, "ALTER TABLE slice_ledger DROP COLUMN cursor")

    prepare(engine)

    assert version_in(engine) == LEDGER_VERSION


def test_a_newer_ledger_is_refused_for_reading_and_writing(engine: sa.Engine, tmp_path: Path) -> None:
    prepare(engine)
    run(engine, f"{_NEWER}; CREATE TABLE orders (); CREATE TABLE orders_rejected ()")

    refused = rf"by a newer version of this program.* version 99.*up to {LEDGER_VERSION}"
    with pytest.raises(LedgerVersionError, match=refused):
        prepare(engine)
    tables = feed_tables(Order, "orders")
    with pytest.raises(LedgerVersionError, match=refused):
        Ledger(engine, tables).loaded()
    with pytest.raises(LedgerVersionError, match=refused):
        Verifier(engine, tables, landing_at(str(tmp_path))).partitions()


def test_readers_of_an_older_ledger_need_no_column_of_merges(engine: sa.Engine) -> None:
    tables = feed_tables(Order, "orders", write=Write("upsert", keys=("order_id",)))
    run(engine, _VERSION_1)
    with engine.begin() as connection:
        tables.accepted.create(connection)
        tables.rejected.create(connection)

    assert Ledger(engine, tables).loaded() == Ledger(engine, tables).counted() == {}
    assert Ledger(engine, tables).greatest("order_id") is None
    assert version_in(engine) == 1


def test_a_role_that_does_not_own_the_ledger_is_told_who_must_upgrade_it(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        owner = connection.scalar(sa.text("SELECT current_user"))
        connection.exec_driver_sql(_VERSION_1)
        connection.exec_driver_sql("CREATE ROLE upgrades_writer")
        connection.exec_driver_sql("GRANT ALL ON slice_ledger TO upgrades_writer")
        connection.exec_driver_sql("SET LOCAL ROLE upgrades_writer")

        with pytest.raises(LedgerVersionError, match=f"version 1.*{owner}, not upgrades_writer") as refused:
            prepare_ledger(connection, _PUBLIC)

        statement = str(refused.value).partition(f"run as {owner}: ")[2]
        connection.exec_driver_sql("RESET ROLE")
        connection.exec_driver_sql(statement)
        connection.exec_driver_sql("SET LOCAL ROLE upgrades_writer")
        prepare_ledger(connection, _PUBLIC)
        assert ledger_version(connection) == LEDGER_VERSION
        connection.rollback()


def test_two_programs_that_upgrade_at_once_do_so_once(engine: sa.Engine) -> None:
    run(engine, _VERSION_1)
    both = Barrier(2)

    def upgrade() -> None:
        with engine.begin() as connection:
            assert ledger_version(connection) == 1
            both.wait(10)
            prepare_ledger(connection, _PUBLIC)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(upgrade) for _ in range(2)]:
            done.result()

    assert version_in(engine) == LEDGER_VERSION


def test_an_upgrade_gives_way_to_a_backup_that_reads_the_ledger(engine: sa.Engine) -> None:
    run(engine, _VERSION_1)

    with engine.begin() as backup:
        backup.exec_driver_sql("LOCK TABLE slice_ledger IN ACCESS SHARE MODE")
        with pytest.raises(sa.exc.OperationalError) as given_up:
            prepare(engine)

    assert isinstance(given_up.value.orig, psycopg.errors.LockNotAvailable)
    assert version_in(engine) == 1
