"""Database URLs: all spellings and several hosts are parsed, and no error shows a password."""

import logging
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from purchase_pipeline.feeds.resources import ledger_resource
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.errors import UnusableUrlError
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline.sales.resources import ReportFileResource

SECRET = "hunter2"  # noqa: S105
UNREADABLE = {
    "a bare @": f"postgresql://me:hun@{SECRET}@db.invalid/shop",
    "a bare @ and /": f"postgresql://me:a@{SECRET}/x@db.invalid/shop",
    "an @ in the query": f"postgresql://db.invalid:5432/shop?password=a@{SECRET}",
    "no @ at all": f"postgresql://me:{SECRET}/shop",
    "one slash": f"postgresql:/me:{SECRET}@db.invalid/shop",
    "no scheme": f"me:{SECRET}@db.invalid/shop",
    "another database": f"mysql://me:{SECRET}@db.invalid/shop",
    "a port that is none": f"postgresql://me@db.invalid:{SECRET}/shop",
    "several hosts and a port that is none": f"postgresql://me:x@one:1,two:{SECRET}/shop",
    "several hosts and a bare @": f"postgresql://me:a@{SECRET}@one:1,two:2/shop",
    "words": f"host=db.invalid user=me password={SECRET} dbname=shop",
    "words in quotes": f"host=db.invalid password='a b {SECRET}",
    "a misspelt password": f"postgresql://me@db.invalid/shop?passwrd={SECRET}",
    "a secret without a name": f"postgresql://me@db.invalid/shop?{SECRET}%20=x",
    "a line break": f"postgresql://me:{SECRET}\n@x@db.invalid/shop",
}
UNREACHABLE = {
    "escaped": f"postgresql://me:a%40b%3A%2F%23%3F%25{SECRET}@127.0.0.1:1/shop",
    "bare : and %": f"postgresql://me:a:b%{SECRET}@127.0.0.1:1/shop",
    "a bare /": f"postgresql://me:a/{SECRET}@127.0.0.1:1/shop",
    "a bare ?": f"postgresql://me:a?{SECRET}@127.0.0.1:1/shop",
    "a bare #": f"postgresql://me:a#{SECRET}@127.0.0.1:1/shop",
    "in the query": f"postgresql://me@127.0.0.1:1/shop?password={SECRET}",
    "twice in the query": f"postgresql://me:x@127.0.0.1:1/shop?password=y&password={SECRET}",
    "of a key": f"postgresql://me@127.0.0.1:1/shop?sslpassword={SECRET}",
    "several hosts": f"postgresql://me:{SECRET}@127.0.0.1:1,127.0.0.1:2/shop",
    "several hosts in the query": f"postgresql://me:{SECRET}@/shop?host=127.0.0.1:1&host=127.0.0.1:2",
    "a NUL": f"postgresql://me:{SECRET}%00x@127.0.0.1:1/shop",
}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage, filled by a failed run."""
    with dg.instance_for_test(temp_dir=str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.mark.parametrize("url", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_url_that_cannot_be_read_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(UnusableUrlError) as refused:
        engine_for(url)

    shown = "".join(traceback.format_exception(refused.value))
    assert SECRET not in shown
    assert "Expected postgresql://user:password@host:port/database" in shown


@pytest.mark.parametrize(
    "url", [*UNREADABLE.values(), *UNREACHABLE.values()], ids=[*UNREADABLE, *UNREACHABLE]
)
def test_nothing_that_a_failed_run_stores_or_logs_has_the_password(
    url: str,
    instance: dg.DagsterInstance,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    @dg.asset
    def things() -> pl.DataFrame:
        return pl.DataFrame({"n": [1]})

    with caplog.at_level(logging.DEBUG):
        resources = {"io_manager": PostgresIOManager(database_url=url)}
        result = dg.materialize([things], resources=resources, instance=instance, raise_on_error=False)

    stored = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    printed = "".join(capfd.readouterr())
    assert not result.success
    assert "Error" in stored
    assert SECRET not in stored + printed + caplog.text


@pytest.mark.parametrize("url", UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_nothing_that_shows_an_engine_or_a_resource_has_the_password(url: str) -> None:
    engine = engine_for(url)
    resources = (
        PostgresIOManager(database_url=url),
        ledger_resource(PURCHASES, url),
        ReportFileResource(database_url=url, path="report.html"),
    )

    shown = [repr(engine), str(engine.url), repr(engine.url), *map(repr, resources), *map(str, resources)]

    assert SECRET not in "".join(shown)


@pytest.fixture
def socket(database_url: str) -> tuple[str, str, str]:
    """Socket folder and port of the test server, and the database's name."""
    url = sa.make_url(database_url)
    return str(url.query["host"]), str(url.query["port"]), str(url.database)


@pytest.mark.parametrize("dead", ["127.0.0.1:1", "[::1]:1", "127.0.0.1", "/nowhere:1"])
def test_of_several_hosts_the_first_that_answers_is_taken(dead: str, socket: tuple[str, str, str]) -> None:
    folder, port, database = socket
    dead = quote(dead, safe=":[]")
    alive = f"{quote(folder, safe='')}:{port}"
    urls = [f"postgresql://postgres:p%40ss@{dead},{alive}/{database}"]
    if "[" not in dead:
        urls.append(f"postgresql://postgres@/{database}?host={dead}&host={alive}")

    for url in urls:
        with engine_for(url).connect() as connection:
            assert connection.scalar(sa.text("SELECT current_database()")) == database


def test_an_asset_is_stored_through_several_hosts(socket: tuple[str, str, str], engine: sa.Engine) -> None:
    folder, port, database = socket
    url = f"postgresql://postgres@127.0.0.1:1,{quote(folder, safe='')}:{port}/{database}"

    @dg.asset
    def things() -> pl.DataFrame:
        return pl.DataFrame({"n": [1]})

    done = dg.materialize([things], resources={"io_manager": PostgresIOManager(database_url=url)})

    assert done.success
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT n FROM things")) == 1


@pytest.mark.parametrize(
    "where", ["postgresql://postgres:{}@/{}&port=", "postgresql://postgres@/{1}&password={0}&port="]
)
def test_a_password_is_handed_over_as_it_is(where: str, socket: tuple[str, str, str]) -> None:
    password, given = "a@b:c/d%e#f?g &h", list[object]()
    folder, port, database = socket
    url = where.format(quote(password, safe=""), f"{database}?host={quote(folder, safe='')}") + port
    engine = engine_for(url)

    def note(*call: object) -> None:
        given.append(call[3])

    sa.event.listen(engine, "do_connect", note)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1

    (words,) = given
    assert isinstance(words, dict)
    assert words["password"] == password
