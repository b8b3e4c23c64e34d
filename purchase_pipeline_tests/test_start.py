"""Programs start without garbage collection of what they import, and have it afterwards."""

import subprocess
import sys

STARTED = """\
import gc
from purchase_pipeline.stack.start import importing
try:
    with importing():
        off = not gc.isenabled()
        import dagster
        raise ImportError
except ImportError:
    print(off, gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


def test_what_is_imported_is_left_out_of_garbage_collection_which_goes_on() -> None:
    ran = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True)

    assert ran.stdout == "True True True\n"


def test_a_module_is_started_with_its_own_arguments() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "purchase_pipeline.stack.start", "dagster._daemon.cli", "run", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Run any daemons configured on the DagsterInstance" in ran.stdout
