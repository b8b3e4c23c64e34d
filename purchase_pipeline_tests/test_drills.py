"""The short version of the drills on processes; and that the document's table is what the drills came to."""

from pathlib import Path

import pytest

from resilience.drills.healing_drills import DRILLS as HEALING_DRILLS
from resilience.drills.outcome import Drill
from resilience.drills.process_drills import DRILLS as PROCESS_DRILLS
from resilience.drills.report import DRILLS, kept, table, written_into

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.proof
@pytest.mark.parametrize(
    "drill", [one for one in (*PROCESS_DRILLS, *HEALING_DRILLS) if one.short], ids=lambda drill: drill.name
)
def test_what_is_killed_heals_unaided_and_loses_nothing(drill: Drill, tmp_path: Path) -> None:
    outcome = drill.run(drill.short, tmp_path)

    assert (outcome.times, outcome.lost, outcome.doubled, outcome.healed) == (drill.short, 0, 0, drill.short)


def test_the_documents_fault_table_is_what_the_drills_came_to() -> None:
    document = (DOCS / "reliability.md").read_text()

    assert written_into(document, kept(DOCS / "reliability")) == document


def test_every_kept_result_is_of_a_drill_that_can_be_done_again() -> None:
    names = [drill.name for drill in DRILLS]

    assert len(set(names)) == len(names)
    assert {path.stem for path in (DOCS / "reliability").iterdir()} <= set(names)
    assert all(result.name in table([result]) for result in kept(DOCS / "reliability"))
