"""`purchase-pipeline partition`: beside loads and readers, killed and run again; and all that looks at the table."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psycopg
import pytest
import sqlalchemy as sa

from benchmarks.ours import our_path
from mock_api.app import create_app
from purchase_pipeline.landing import landing_at
from purchase_pipeline.lot_ledger import LEDGER, LotLedger
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.locks import Lock, hold_until_commit
from purchase_pipeline.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.verification import Verifier
from purchase_pipeline_tests.person import COMMAND, Person, wait_for
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.test_assets import WITHOUT_ID, count

pytestmark = pytest.mark.proof  # of the database, whatever the Python

ROWS = 400
LOTS = [f"lote-{number:04d}" for number in range(1, 7)]
NEW = [f"lote-{number:04d}" for number in range(7, 10)]
KIND = "SELECT relkind::text FROM pg_class WHERE oid = 'tabela_compras'::regclass"


@pytest.fixture
def api_url() -> Iterator[str]:
    """The mock API."""
    with served(create_app()) as url:
        yield url


class Shop:
    """A database with lots in it, which are loaded anew, and a command that partitions it."""

    def __init__(self, api_url: str, folder: Path, url: str) -> None:
        self.url, self._api_url, self._folder = url, api_url, folder
        self.environment = {
            **os.environ,
            "DATABASE_URL": url,
            "PURCHASE_HOME": str(folder / "home"),
            "COLUMNS": "120",
        }

    def load(self, *lots: str) -> None:
        """Load lots, one after the other, with what a run is handed."""
        with our_path(self._api_url, self._folder, self.url) as path:
            for lote in lots:
                path.load(lote, ROWS)

    def partition(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "partition", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start_partition(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [COMMAND, "partition"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kind(self) -> str:
        with psycopg.connect(self.url) as connection:
            ((kind,),) = connection.execute(KIND).fetchall()
        return str(kind)

    def copied(self) -> int:
        with psycopg.connect(self.url) as connection:
            if not connection.execute("SELECT to_regclass('tabela_compras_next') IS NOT NULL").fetchall()[0][
                0
            ]:
                return 0
            return len(connection.execute("SELECT DISTINCT lote FROM tabela_compras_next").fetchall())

    def verified(self) -> list[list[str]]:
        verifier = Verifier(engine_for(self.url), landing_at(str(self._folder)))
        return [verifier.verify(lote).differences for lote in verifier.lots()]


@pytest.fixture
def shop(api_url: str, tmp_path: Path, database_url: str) -> Shop:
    """Six lots."""
    shop = Shop(api_url, tmp_path, database_url)
    shop.load(*LOTS)
    return shop


@contextmanager
def readers(url: str) -> Iterator[list[object]]:
    """Count lot by lot, without a pause, in sessions that prepare their statements; give what was counted wrongly."""
    stop, wrong = Event(), list[object]()
    started = [Event(), Event()]

    def read(begun: Event) -> int:
        times = 0
        with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
            while not stop.is_set():
                counted: dict[str, int] = dict(
                    connection.execute("SELECT lote, count(*) FROM tabela_compras GROUP BY lote").fetchall()
                )
                one = connection.execute(
                    "SELECT count(*) FROM tabela_compras WHERE lote = %s", [LOTS[2]]
                ).fetchall()
                if (
                    any(counted.get(lote) != ROWS for lote in LOTS)
                    or set(counted.values()) != {ROWS}
                    or one != [(ROWS,)]
                ):
                    wrong.append((counted, one))
                times += 1
                begun.set()
        return times

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read, begun) for begun in started]
        try:
            assert all(begun.wait(30) for begun in started)
            yield wrong
        finally:
            stop.set()
        assert all(each.result() > 10 for each in reading)


def hold_lot(connection: sa.Connection, lote: str) -> None:
    """Do as one who loads a lot does; without the lock of the table, for which the command would wait to begin."""
    hold_until_commit(connection, Lock(("slice", "public", "tabela_compras", lote)))


def test_lots_are_loaded_and_counted_rightly_while_the_table_is_partitioned_and_killed_in_the_middle(
    shop: Shop, engine: sa.Engine
) -> None:
    before = count(engine, WITHOUT_ID)
    with readers(shop.url) as wrong:
        with engine.begin() as writer:
            hold_lot(writer, LOTS[3])
            killed = shop.start_partition()
            wait_for(lambda: shop.copied() == 3)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        assert shop.kind() == "r"
        shop.load(LOTS[0])  # copied already
        shop.load(LOTS[4])  # not yet

        with engine.begin() as writer:
            hold_lot(writer, LOTS[3])
            second = shop.start_partition()
            wait_for(lambda: shop.copied() >= 3)
            shop.load(LOTS[1], *NEW)
            assert second.poll() is None
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(shop.load, [LOTS[5], LOTS[0], NEW[0], LOTS[2]]))
        printed, _ = second.communicate(timeout=60)
        shop.load(LOTS[1])

    assert second.returncode == 0, printed
    assert "Going on where an earlier run stood: into 16 parts by HASH (lote)." in printed
    assert "✓ tabela_compras is in 16 parts by HASH (lote) now." in printed
    assert wrong == []
    assert shop.kind() == "p"
    assert shop.verified() == [[]] * 9
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM tabela_compras WHERE lote > :last"), {"last": LOTS[-1]})
    assert count(engine, WITHOUT_ID) == before


def test_numbers_go_on_where_they_stood_and_what_looks_at_the_table_sees_no_difference(
    shop: Shop, engine: sa.Engine
) -> None:
    ledger = LotLedger(engine)
    before = count(engine, WITHOUT_ID), ledger.counted_lots(), ledger.loaded_lots()

    done = shop.partition("--parts", "3")

    assert done.returncode == 0, done.stderr
    assert (count(engine, WITHOUT_ID), ledger.counted_lots(), ledger.loaded_lots()) == before
    assert (ledger.gaps_and_doubles(), ledger.differences_from_contract()) == ([], [])
    shop.load(NEW[0])
    assert count(engine, "SELECT count(*), count(DISTINCT id), max(id) FROM tabela_compras") == (
        2800,
        2800,
        2800,
    )
    assert shop.verified() == [[]] * 7


def test_a_project_can_begin_partitioned_and_go_back(person: Person) -> None:
    made = person.run("partition", "--parts", "5")
    assert made.returncode == 0, made.stderr
    assert "tabela_compras is in 5 parts by HASH (lote) now. 0 rows were copied" in made.stdout

    done = person.ingest("--lots", "4", "--rows", "300", "--defects", "0.02")
    assert done.returncode == 0, done.stdout + done.stderr
    again = person.run("partition")
    assert (again.returncode, again.stdout) == (
        0,
        "tabela_compras is in 5 parts by HASH (lote) already; nothing to do.\n",
    )
    otherwise = person.run("partition", "--parts", "6")
    assert otherwise.returncode == 1
    assert "put it in one piece first: `purchase-pipeline partition --plain`" in otherwise.stderr

    assert person.run("verify").returncode == 0
    assert json.loads(person.run("status", "--json").stdout)["rows_loaded"] == 1176
    assert person.run("report", "--no-open").returncode == 0
    sizes = person.run("sql", "table-sizes", "--csv").stdout
    assert [line.split(",")[:2] for line in sizes.splitlines() if "compras" in line] == [
        ["tabela_compras", "1176"],
        ["compras_rejeitadas", "24"],
    ]

    back = person.run("partition", "--plain", "--keep-old")
    assert back.returncode == 0, back.stderr
    assert person.counts() == (1176, 4, 1176)
    refused = person.run("partition")
    assert refused.returncode == 1
    assert "DROP TABLE public.tabela_compras_old;" in refused.stderr
    assert person.run("verify").returncode == 0


def test_what_does_not_go_together_is_an_error_of_usage(person: Person) -> None:
    assert person.run("partition", "--parts", "4", "--plain").returncode == 2
    assert person.run("partition", "--abandon", "--keep-old").returncode == 2


def test_what_stands_in_the_way_is_told_and_what_was_begun_can_be_given_up(
    shop: Shop, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE MATERIALIZED VIEW sold AS SELECT lote FROM tabela_compras"))

    refused = shop.partition()

    assert refused.returncode == 1
    assert "materialized view public.sold. Drop that first" in refused.stderr
    assert "Nothing is begun" in shop.partition("--abandon").stdout
    assert shop.kind() == "r"


@pytest.mark.usefixtures("shop")
def test_every_unique_key_has_the_lot_in_it_so_that_a_lot_can_be_in_one_place(engine: sa.Engine) -> None:
    lot_of = {TABELA_COMPRAS.name: "lote", COMPRAS_REJEITADAS.name: "lote", LEDGER.name: "partition"}
    inspector = sa.inspect(engine)

    for table, lot in lot_of.items():
        assert lot in inspector.get_pk_constraint(table)["constrained_columns"]
        assert all(lot in index["column_names"] for index in inspector.get_indexes(table) if index["unique"])
        kinds = {column["name"]: column["type"] for column in inspector.get_columns(table)}
        assert isinstance(kinds[lot], sa.Text)  # in all three: rows of one lot meet
        assert inspector.get_foreign_keys(table) == []
    assert count(engine, "SELECT count(*) FROM pg_trigger") == (0,)


def test_every_write_of_a_lot_names_it_and_calls_no_function_where_the_ledgers_row_is_replaced(
    shop: Shop,
) -> None:
    written = list[tuple[str, object]]()

    def note(*call: object) -> None:
        _, _, statement, values = call[:4]
        if re.match(r"(INSERT|UPDATE|DELETE|MERGE) .*\"public\"", str(statement)):
            written.append((str(statement), values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        shop.load(LOTS[0])
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)

    assert [statement.split()[:3] for statement, _ in written] == [
        ["DELETE", "FROM", '"public"."tabela_compras"'],
        ["INSERT", "INTO", '"public"."slice_ledger"'],
        ["DELETE", "FROM", '"public"."compras_rejeitadas"'],
        ["INSERT", "INTO", '"public"."slice_ledger"'],
    ]
    assert all(LOTS[0] in str(values) for _, values in written)
    for statement, _ in written[1::2]:
        assert "(" not in statement.partition("DO UPDATE SET")[2]
