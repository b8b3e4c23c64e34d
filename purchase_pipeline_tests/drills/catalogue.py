"""Every drill there is."""

from purchase_pipeline_tests.drills import (
    api_drills,
    daemon_drills,
    database_drills,
    healing_drills,
    process_drills,
    soak,
    wire_drills,
)

DRILLS = (
    *process_drills.DRILLS,
    *healing_drills.DRILLS,
    *wire_drills.DRILLS,
    *database_drills.DRILLS,
    *daemon_drills.DRILLS,
    *api_drills.DRILLS,
    *soak.DRILLS,
)
