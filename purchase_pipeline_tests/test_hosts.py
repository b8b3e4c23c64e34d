"""What is promised of many machines: lost hosts, cut cables and a dead broker cost no row."""

import os
from pathlib import Path

import pytest

from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.programs import program
from resilience.hosts.campaign import FAULTS, campaign
from resilience.hosts.report import written_into


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_a_campaign_on_seven_hosts_of_which_three_are_struck_ends_with_exact_counts() -> None:
    program("ip", package="iproute2")
    program("redis-server", package="redis-server")
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("network namespaces are root's to make")

    report = campaign(workers=3, lots=15, rows=10_000, every=5, with_faults=True)

    print(report.model_dump_json(indent=1))
    assert (report.lost, report.doubled) == (0, 0)
    assert report.recovered.keys() == FAULTS.keys()
    assert report.verified.startswith("15 batches verified")
    assert report.clean


def test_the_page_shows_what_was_measured() -> None:
    page = (PROJECT / "docs" / "scaling.md").read_text()

    assert written_into(page, Path(PROJECT / "docs" / "scaling")) == page
