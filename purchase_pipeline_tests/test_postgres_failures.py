"""Expected errors reach Dagster's pages as failures: the message, then the facts, and no second stack."""

from importlib import import_module

import dagster as dg
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline import PipelineError
from purchase_pipeline.postgres import PostgresIOManager, SchemaDriftError
from purchase_pipeline.postgres.database_errors import outage_error
from purchase_pipeline.postgres.errors import UnstorableValueError
from purchase_pipeline.postgres.failures import expected_failures
from purchase_pipeline_tests.storing import Store, failure_of, rows_of

ONE_RETRY = dg.RetryPolicy(max_retries=1)


@pytest.fixture
def store(database_url: str, engine: sa.Engine) -> Store:
    """A database to store assets in."""
    return Store(database_url, engine)


def test_a_refused_frame_is_explained_by_the_io_manager_alone(store: Store) -> None:
    store.store(pd.DataFrame({"n": [1]}))

    failure = failure_of(store.store(pd.DataFrame({"n": ["x"]})))

    assert (failure.description or "").startswith("The data does not fit table public.things:\n")
    assert failure.metadata["table"].value == "public.things"
    assert rows_of(failure.metadata["differences"]) == [
        {"differences": "column 'n' is BIGINT in the table, but TEXT in the data"}
    ]


def test_a_failure_names_the_row_and_column(store: Store) -> None:
    failure = failure_of(store.store(pd.DataFrame({"n": ["ok", "a\0b"]})))

    assert {name: value.value for name, value in failure.metadata.items()} == {
        "table": "public.things",
        "column": "n",
        "row": 2,
        "reason": 'invalid byte sequence for encoding "UTF8": 0x00',
    }


@dg.asset
def things() -> pd.DataFrame:
    return pd.DataFrame({"n": ["x"]})


def test_a_failure_is_caught_by_the_class_of_the_error(store: Store) -> None:
    store.store(pd.DataFrame({"n": [1]}))

    with pytest.raises(SchemaDriftError) as caught:
        dg.materialize([things], resources={"io_manager": store.io_manager()})

    assert isinstance(caught.value, dg.Failure)
    assert caught.value.table == "public.things"
    assert caught.value.differences == ["column 'n' is BIGINT in the table, but TEXT in the data"]


def test_an_unreachable_server_is_explained() -> None:
    nowhere = PostgresIOManager(database_url="postgresql://me:secret@127.0.0.1:1/db")

    result = dg.materialize([things], resources={"io_manager": nowhere}, raise_on_error=False)

    failure = failure_of(result)
    assert (failure.description or "").startswith("The database is unavailable: connection failed: ")
    assert (failure.description or "").endswith("Check that the server is running, and the database's URL.")
    assert failure.metadata.keys() == {"hint"}
    assert "secret" not in str(result.all_events)


def test_a_canceled_statement_is_explained_with_its_sqlstate(database_url: str) -> None:
    impatient = sa.make_url(database_url).update_query_dict({"options": "-c statement_timeout=100"})
    manager = PostgresIOManager(database_url=impatient.render_as_string(hide_password=False))

    @dg.asset
    def slow() -> sa.Select[tuple[str]]:
        return sa.select(sa.cast(sa.func.pg_sleep(30), sa.Text).label("text"))

    result = dg.materialize([slow], resources={"io_manager": manager}, raise_on_error=False)

    failure = failure_of(result)
    assert (failure.description or "").startswith(
        "The database reported an error: canceling statement due to statement timeout (SQLSTATE 57014)."
    )
    assert failure.metadata["sqlstate"].value == "57014"


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (psycopg.errors.DiskFull(), "Free disk space on the server."),
        (psycopg.errors.TooManyConnections(), "The server has run out of connections, memory or disk space."),
        (psycopg.errors.DeadlockDetected(), "Another transaction was in the way: run it again."),
        (
            psycopg.errors.AdminShutdown(),
            "The server canceled the statement, is shutting down or is starting.",
        ),
        (psycopg.errors.IoError(), "The server's operating system reported the error: see the server's log."),
    ],
)
def test_an_outage_says_what_to_do(error: psycopg.Error, hint: str) -> None:
    outage = outage_error(error)

    assert outage is not None
    assert (outage.hint, outage.transient, outage.sqlstate) == (hint, True, error.sqlstate)


@pytest.mark.parametrize("error", [psycopg.errors.UndefinedColumn(), psycopg.ProgrammingError("a bug")])
def test_a_wrong_statement_is_no_outage(error: psycopg.Error) -> None:
    assert outage_error(error) is None
    assert outage_error(sa.exc.DBAPIError("SELECT x", None, error)) is None


@pytest.mark.parametrize(("transient", "attempts"), [(True, 2), (False, 1)])
def test_a_retry_policy_is_for_transient_errors(transient: bool, attempts: int) -> None:  # noqa: FBT001
    seen = list[int]()

    @dg.asset(retry_policy=ONE_RETRY)
    def failing(context: dg.AssetExecutionContext) -> None:
        seen.append(context.retry_number)
        with expected_failures():
            raise PipelineError("No.", hint="Wait.", transient=transient)

    result = dg.materialize([failing], raise_on_error=False)

    assert seen == list(range(attempts))
    (event,) = [event for event in result.all_events if event.is_step_failure]
    shown = event.step_failure_data.user_failure_data
    assert shown is not None
    assert (shown.description, shown.metadata["hint"].value) == ("No. Wait.", "Wait.")


@pytest.mark.parametrize("bug", [KeyError("x"), ValueError("y"), FileNotFoundError("z")])
def test_other_exceptions_are_unchanged(bug: Exception) -> None:
    with pytest.raises(type(bug)) as caught, expected_failures():
        raise bug

    assert caught.value is bug


def error_tree(kind: type[PipelineError] = PipelineError) -> list[type[PipelineError]]:
    """Return the classes of the error tree, as far as they are loaded."""
    below = [each for child in kind.__subclasses__() for each in error_tree(child)]
    ours = [each for each in [kind, *below] if each.__module__.startswith("purchase_pipeline.")]
    return [each for each in ours if not issubclass(each, dg.Failure)]


def test_every_error_of_the_tree_becomes_a_failure() -> None:
    import_module("purchase_pipeline.definitions")
    assert len(error_tree()) > 30

    for kind in error_tree():
        error = kind.__new__(kind)
        error.args, error.hint = ("No.",), "Wait."

        with pytest.raises(kind) as caught, expected_failures():
            raise error

        failure = caught.value
        assert isinstance(failure, dg.Failure)
        assert (failure.description, failure.allow_retries) == ("No. Wait.", kind.transient)
        assert str(failure) == str(error)
        assert (type(failure).__module__, type(failure).__qualname__) == (kind.__module__, kind.__qualname__)


def test_a_failure_of_the_assets_own_is_unchanged() -> None:
    own = dg.Failure("mine")

    with pytest.raises(dg.Failure) as caught, expected_failures(), expected_failures():
        raise own

    assert caught.value is own


def test_a_failure_is_not_wrapped_again() -> None:
    with pytest.raises(UnstorableValueError) as caught, expected_failures(), expected_failures():
        raise UnstorableValueError("things", 3, "n", "too large")

    assert str(caught.value) == "table things, row 3, column 'n': too large"
    assert type(caught.value).__mro__[1:3] == (dg.Failure, UnstorableValueError)
