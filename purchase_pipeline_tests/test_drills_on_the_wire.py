"""The short version of the drills on the wire, in the database and of the API."""

from pathlib import Path

import pytest

from resilience.drills import api_drills, database_drills, wire_drills
from resilience.drills.outcome import Drill

SHORT = [drill for drill in (*wire_drills.DRILLS, *database_drills.DRILLS, *api_drills.DRILLS) if drill.short]


@pytest.mark.proof
@pytest.mark.parametrize("drill", SHORT, ids=lambda drill: drill.name)
def test_what_is_broken_loses_nothing_and_heals(drill: Drill, tmp_path: Path) -> None:
    outcome = drill.run(drill.short, tmp_path)

    assert (outcome.times, outcome.lost, outcome.doubled, outcome.healed) == (drill.short, 0, 0, drill.short)
