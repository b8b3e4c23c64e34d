"""Homes of earlier versions, restored from their backups, opened by this one."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from purchase_pipeline.postgres.slices.ledger import ledger_table
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME
from purchase_pipeline.stack.embedded_postgres.files import installed_programs
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.roles import DAGSTER, LOADER
from purchase_pipeline_tests.live_stack import LiveStack, dismantle
from purchase_pipeline_tests.old_homes.make import BATCHES, LOAD, MAX_REJECTED_RATIO, ROWS
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.proof

ARCHIVES = Path(__file__).parent / "old_homes"
FIRST_RELEASED, NEWEST = "2026-11-28", "2026-11-30"
OWNERS = {DATABASE_NAME: LOADER, DAGSTER_DATABASE_NAME: DAGSTER}
MORE = BATCHES + 1
RUNS = "SELECT count(*) FROM runs WHERE pipeline_name = 'ingest_lote'"
FAILED_TICKS = "SELECT count(*) FROM job_ticks WHERE status = 'FAILURE'"
SAME_ROWS = (
    "SELECT md5(string_agg(t::text, ',' ORDER BY lote, linha)) FROM tabela_compras t WHERE lote < 'lote-0013'"
)
MARTS_AGREE = """
    SELECT count(*) = (SELECT sum(purchases) FROM customers_by_age_band)
       AND count(*) = (SELECT sum(purchases) FROM sales_by_month_and_store WHERE cut = 'day')
    FROM tabela_compras
"""
REPORTS = (
    "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key = %s"
)
LEDGER_COMMENT = "SELECT obj_description('slice_ledger'::regclass)"


def restored(name: str, home: Path) -> None:
    """Restore a home's backup as `docs/operations.md` does, into empty databases."""
    server = EmbeddedPostgres(home / "postgres")
    server.start()
    with tarfile.open(ARCHIVES / f"{name}.tar.xz") as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # not in Debian 12's Python 3.11
        packed.extractall(home.parent)  # noqa: S202  (of this repository)
    for dump in home.parent.glob("*.dump"):
        subprocess.run(
            [
                installed_programs() / "pg_restore",
                *("--clean", "--if-exists", "--exit-on-error", "--single-transaction"),
                *("--dbname", server.url(dump.stem, OWNERS[dump.stem]), dump),
            ],
            check=True,
        )


def assert_opened(person: Person) -> None:
    """Check that the commands which only read find what the earlier version wrote, and no difference."""
    status, verified, rejects, replayed = person.run_all(
        ["status", "--json"], ["verify", "--json"], ["rejects", "--json"], ["replay", "--dry-run"]
    )
    counts, batches = json.loads(status.stdout), json.loads(verified.stdout)
    assert (status.returncode, counts["loaded"], counts["rows_received"]) == (0, BATCHES, BATCHES * ROWS)
    assert (verified.returncode, len(batches)) == (0, BATCHES)
    assert not any(batch["differences"] for batch in batches)
    rejected = sum(batch["rejected"] for batch in batches)
    assert len(json.loads(rejects.stdout)) == counts["rows_rejected"] == rejected > 0
    reworded = [batch["lote"] for batch in batches if batch["reworded"]]
    assert (", ".join(reworded) or "nothing to do") in replayed.stdout


def test_a_home_without_dagsters_history_is_loaded_on(person: Person) -> None:
    restored(NEWEST, person.home)
    assert_opened(person)

    added = person.ingest("--lots", str(MORE), *LOAD, **MAX_REJECTED_RATIO)

    assert f"{BATCHES} of {MORE} batches already loaded; loading the rest." in added.stdout
    assert person.run("verify").returncode == 0


@pytest.mark.timeout(600)
def test_up_continues_in_a_home_of_the_first_released_version(person: Person) -> None:
    restored(FIRST_RELEASED, person.home)
    assert_opened(person)
    words = ["--lots", str(MORE), "--every", "1", *LOAD]
    stack = LiveStack(person.home, *words, environment=MAX_REJECTED_RATIO)
    before, runs = stack.ask(SAME_ROWS), _number(stack, RUNS)
    reports = _number(stack, REPORTS, '["sales_report"]')

    stack.start()
    try:
        wait_until(lambda: f"{MORE} of {MORE} batches loaded" in stack.log.read_text(), "the batch", 120)
        wait_until(lambda: stack.ask(MARTS_AGREE) == [(True,)], "the marts of this version", 180)
        wait_until(lambda: _number(stack, REPORTS, '["sales_report"]') > reports, "the report")

        assert _number(stack, RUNS) == runs + 1
        assert _number(stack, FAILED_TICKS) == 0
        assert stack.ask(SAME_ROWS) == before
        assert stack.ask(LEDGER_COMMENT) == [(ledger_table().comment,)]
        assert stack.command("replay").returncode == 0
        assert stack.command("verify").stdout.endswith("rejected): no differences.\n")
    finally:
        dismantle(stack)


def _number(stack: LiveStack, query: str, *values: object) -> int:
    """Return the number that a query finds in Dagster's database."""
    ((found,),) = stack.ask(query, *values, database=DAGSTER_DATABASE_NAME)
    return int(found)
