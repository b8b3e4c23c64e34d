"""Figures, ratios, turns and reports of the benchmarks; the document matches the recorded results."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import psycopg
import pytest

from benchmarks.cadence import first_asked, percentile_95
from benchmarks.catalogue import BENCHMARKS
from benchmarks.comparison import comparison
from benchmarks.contenders import RowsMissingError, take_turns
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.machine import Machine
from benchmarks.order_contenders import WrongRowsError, load_in_new_process, make_tables, require_same_rows
from benchmarks.orders import OURS, PYDANTIC
from benchmarks.orders_api import INVALID, REALISTIC
from benchmarks.orders_api import create_app as create_orders_api
from benchmarks.peers.original_api import create_app
from benchmarks.peers.original_worker import Purchase
from benchmarks.quick import regressions
from benchmarks.report import measured_lines, report, shown, written_into
from benchmarks.results import Result, keep, kept, result_of
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.source  # this project's files, whatever the Python

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
RESULTS = DOCS / "performance"


def a_figure(name: str = "ours", *values: float, at_most: float | None = None) -> Figure:
    return Figure(name, "s", list(values or (0.2, 0.1, 0.6)), at_most=at_most)


def a_measured(ours: float = 0.25, theirs: float = 3.0) -> Measured:
    ours_figure, theirs_figure = a_figure("ours", ours), a_figure("theirs", theirs)
    ratios = [
        Ratio("theirs / ours", theirs_figure, ours_figure, at_least=12),
        Ratio("ours / theirs", ours_figure, theirs_figure, at_most=4),
        Ratio("no target", ours_figure, theirs_figure),
    ]
    return Measured("quick", [ours_figure, theirs_figure], ratios, ["A note."])


def a_result(measured: Measured | None = None) -> Result:
    machine = Machine(
        processor="A processor",
        cores=2,
        memory_gib=8,
        kernel="Linux 6",
        python="3.13.0",
        postgres="18.4",
        versions={"dagster": "1.13"},
        durable={"fsync": "on"},
    )
    return result_of(measured or a_measured(), 1, date(2026, 1, 2), machine)


class AContender:
    """Logs its calls; stores a fixed number of rows."""

    def __init__(self, name: str, log: list[str], stores: int = 10) -> None:
        self.name = name
        self._log = log
        self._stores = stores

    def prepare(self, lote: str) -> None:
        self._log.append(f"{self.name} prepares {lote}")

    def load(self, lote: str, rows: int) -> None:
        self._log.append(f"{self.name} loads {rows} of {lote}")

    def stored(self) -> int:
        return self._stores

    def clean(self) -> None:
        self._log.append(f"{self.name} cleans")


def test_a_ratio_is_computed_round_by_round() -> None:
    ratio = Ratio("them / us", a_figure("them", 2.0, 6.0, 9.0), a_figure("us", 1.0, 2.0, 1.0))

    assert ratio.values == [2.0, 3.0, 9.0]
    assert ratio.median == 3.0


def test_a_target_is_compared_with_the_median() -> None:
    figure = a_figure("ours", 1.0, 2.0, 9.0)

    assert Figure("ours", "s", figure.values, at_most=2.0).met
    assert not Figure("ours", "s", figure.values, at_most=1.9).met
    assert not Measured("any", [Figure("ours", "s", figure.values, at_least=2.1)]).met
    assert a_measured(ours=0.25, theirs=3.0).met
    assert not a_measured(ours=0.25, theirs=2.9).met


def test_contenders_take_turns_in_rotating_order() -> None:
    log = list[str]()

    figures = take_turns([AContender("a", log), AContender("b", log)], rounds=1, rows=10)

    assert {name: len(figure.values) for name, figure in figures.items()} == {"a": 1, "b": 1}
    assert log == [
        *("a prepares lote-0001", "a loads 10 of lote-0001", "a cleans"),
        *("b prepares lote-0001", "b loads 10 of lote-0001", "b cleans"),
        *("b prepares lote-0002", "b loads 10 of lote-0002", "b cleans"),
        *("a prepares lote-0002", "a loads 10 of lote-0002", "a cleans"),
    ]


def test_a_contender_that_stores_too_few_rows_is_an_error() -> None:
    with pytest.raises(RowsMissingError, match="b stored 9 of 10 rows of lote-0001"):
        take_turns([AContender("b", [], stores=9)], rounds=1, rows=10)


def test_only_a_ratio_with_a_target_that_is_twice_as_bad_is_a_regression() -> None:
    recorded = a_measured(ours=0.25, theirs=3.0)

    assert regressions(recorded, recorded) == []
    assert regressions(a_measured(ours=0.49), recorded) == []
    assert regressions(a_measured(ours=0.01), recorded) == []
    assert regressions(a_measured(ours=0.51), recorded) == [
        "theirs / ours: 5.88 now, 12.00 recorded.",
        "ours / theirs: 0.17 now, 0.08 recorded.",
    ]


def test_a_recorded_result_is_what_was_measured(tmp_path: Path) -> None:
    result = a_result()

    keep(result, tmp_path)

    assert kept(tmp_path, ["other", "quick"]) == [result]
    assert result.measured == a_measured()


def test_figures_with_the_same_name_are_refused() -> None:
    with pytest.raises(ValueError, match="ours"):
        a_result(Measured("quick", [a_figure(), a_figure()]))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, "s", "1,234 s"),
        (1.5, "s", "1.50 s"),
        (0.0175, "s", "17.5 ms"),
        (0.0000221, "s", "22.1 µs"),
        (296.4, "MiB", "296 MiB"),
        (12.04, "", "12.0"),
        (0.0, "rows", "0 rows"),
        (0.0, "s", "0 s"),
    ],
)
def test_a_value_is_shown_with_few_digits_and_a_suitable_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_the_tables_show_medians_spread_and_targets() -> None:
    lines = list(measured_lines(a_measured(ours=0.1, theirs=1.0)))

    assert lines == [
        "|  | median | min to max | target | met |",
        "| --- | ---: | ---: | ---: | --- |",
        "| ours | 100 ms |  |  |  |",
        "| theirs | 1.00 s |  |  |  |",
        "",
        "| ratio, round by round | median | min to max | target | met |",
        "| --- | ---: | ---: | ---: | --- |",
        "| theirs / ours | 10.0 |  | at least 12 | **no** |",
        "| ours / theirs | 0.10 |  | at most 4 | yes |",
        "| no target | 0.10 |  |  |  |",
    ]
    assert "| ours | 200 ms | 100 ms to 600 ms | at most 0.2 s | yes |" in measured_lines(
        Measured("quick", [a_figure(at_most=0.2)])
    )


def test_a_document_without_markers_is_not_written_into() -> None:
    with pytest.raises(ValueError, match="results: begin"):
        written_into("# No place for results", "")


@pytest.mark.parametrize(
    ("name", "text"), [("performance.md", comparison), ("performance/figures.md", report)]
)
def test_the_document_shows_the_recorded_results(name: str, text: Callable[[list[Result]], str]) -> None:
    document = (DOCS / name).read_text()

    assert written_into(document, text(kept(RESULTS, list(BENCHMARKS)))) == document


def test_the_comparison_shows_the_fastest_first_and_who_does_not_validate() -> None:
    figures = [
        Figure("realistic: this project, CPU", "s", [0.2, 0.4]),
        Figure("realistic: COPY (no validation), CPU", "s", [0.1, 0.1]),
        Figure("1 % invalid: this project, CPU", "s", [0.5]),
        Figure("realistic: this project, elapsed", "s", [0.6]),
        Figure("COPY (no validation), peak memory", "MiB", [70]),
    ]

    lines = (
        comparison([a_result(Measured("orders", figures))]).replace("\N{NO-BREAK SPACE}", " ").splitlines()
    )

    assert lines[2:] == [
        "| COPY | no | 100 ms | 0.38 |  |  | 70.0 MiB |",
        "| **this project** | **yes** | **300 ms** | **1.00** | **500 ms** | **600 ms** |  |",
    ]


def test_the_picture_shows_the_recorded_results() -> None:
    for result in kept(RESULTS, ["data_path"]):
        picture = (RESULTS / "data_path.svg").read_text()

        assert all(f">{shown(figure.median, 's')}<" in picture for figure in result.measured.figures)


def test_every_recorded_result_is_of_an_existing_benchmark() -> None:
    assert {path.stem for path in RESULTS.glob("*.json")} <= BENCHMARKS.keys()
    assert all((PROJECT / "benchmarks" / f"{name}.py").exists() for name in BENCHMARKS)


def test_a_batch_waits_from_the_first_tick_that_requested_it() -> None:
    asks = [(20.0, ["lote-0001/2"]), (10.0, ["lote-0001/1", "lote-0002/1"])]

    assert first_asked(asks) == {"lote-0001": 10.0, "lote-0002": 10.0}


def test_one_value_in_twenty_exceeds_the_95th_percentile() -> None:
    values = [float(value) for value in range(1, 101)]

    assert sum(value > percentile_95(values) for value in values) == 5


def test_the_first_versions_worker_accepts_its_api() -> None:
    with served(create_app()) as url:
        rows = httpx.get(f"{url}/gerar_compra/20").json()

    assert len(rows) == 20
    assert [Purchase(**row).model_dump(mode="json") for row in rows] == rows


def test_this_project_and_pydantic_by_hand_store_the_same_orders(database_url: str) -> None:
    with served(create_orders_api(rows=1_000)) as api_url:
        for contender in (OURS, PYDANTIC):
            make_tables(database_url)
            costs = load_in_new_process(contender, api_url, database_url, INVALID)

            assert (costs.stored, costs.rejected) == (990, 10)
            require_same_rows(database_url, contender, INVALID, invalid_rows=10)


def test_a_contender_that_stores_other_orders_is_an_error(database_url: str) -> None:
    with served(create_orders_api(rows=200)) as api_url:
        make_tables(database_url)
        load_in_new_process(OURS, api_url, database_url, REALISTIC)
        require_same_rows(database_url, OURS, REALISTIC, invalid_rows=0)
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE orders SET amount = amount + 0.01 WHERE row_number <= 3")

        with pytest.raises(WrongRowsError, match="pydantic by hand and COPY stored 3 other rows"):
            require_same_rows(database_url, PYDANTIC, REALISTIC, invalid_rows=0)
