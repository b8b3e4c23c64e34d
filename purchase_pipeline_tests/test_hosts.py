"""What is promised of many machines: lost hosts, cut cables and a dead broker cost no row; and what the model says."""

import os
from pathlib import Path

import pytest

from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.programs import program
from resilience.hosts.campaign import FAULTS, campaign
from resilience.hosts.costs import Costs
from resilience.hosts.model import Site, forecast
from resilience.hosts.report import written_into

ALONE = Costs(
    workers=1,
    seconds_between_lots=0.8,
    cpu_seconds={"workers": 0.4, "database": 0.5, "api": 0.05, "broker": 0.003, "control": 0.1},
    wal_bytes=2_700_000,
    sessions=80.0,
    events=39.0,
)
HERE = Site(shared_cores=2)
HOSTS = Site(database_cores=8, api_cores=4)


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_a_campaign_on_seven_hosts_of_which_three_are_struck_ends_with_exact_counts() -> None:
    program("ip", package="iproute2")
    program("redis-server", package="redis-server")
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("network namespaces are root's to make")

    report = campaign(workers=3, lots=40, rows=10_000, with_faults=True)

    print(report.model_dump_json(indent=1))
    assert (report.lost, report.doubled) == (0, 0)
    assert report.recovered.keys() == FAULTS.keys()
    assert report.verified.startswith("40 lots held")
    assert report.clean


def test_one_worker_is_foretold_as_it_was_measured() -> None:
    assert forecast(ALONE, 1, HERE).lots_an_hour == pytest.approx(3600 / 0.8)
    assert forecast(ALONE, 1, HOSTS).lots_an_hour == pytest.approx(3600 / 0.8)


def test_more_workers_do_more_until_what_they_share_is_used_up() -> None:
    rates = [forecast(ALONE, workers, HERE).lots_an_hour for workers in (1, 2, 4, 8, 100)]

    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(3600 * 2 / sum(ALONE.cpu_seconds.values()), rel=0.01)
    assert rates[-1] <= forecast(ALONE, 1, HERE).most_lots_an_hour


def test_what_is_used_up_first_is_named() -> None:
    small, large = Site(database_cores=2, api_cores=4), Site(database_cores=1000, api_cores=1000)
    cheap = ALONE.model_copy(update={"cpu_seconds": dict.fromkeys(ALONE.cpu_seconds, 0.001)})

    assert forecast(ALONE, 1, small).bottleneck == "the database's processors"
    assert forecast(ALONE, 1, large).bottleneck == "Dagster's daemon, one process"
    assert forecast(cheap, 1, large._replace(wal_bytes_a_second=1e6)).bottleneck == "the database's WAL"
    assert forecast(cheap, 1, large).bottleneck.startswith("the sensor")
    assert forecast(cheap, 10_000, large).lots_an_hour <= 36_000


def test_waits_are_not_foretold_from_waits() -> None:
    with pytest.raises(ValueError, match="costs of one worker are wanted, not of 2"):
        forecast(ALONE.model_copy(update={"workers": 2}), 4, HERE)


def test_the_page_shows_what_was_measured() -> None:
    page = (PROJECT / "docs" / "scaling.md").read_text()

    assert written_into(page, Path(PROJECT / "docs" / "scaling")) == page
