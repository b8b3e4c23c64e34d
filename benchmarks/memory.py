"""The memory of a process, without imports that would add to it."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

_KIB_PER_MIB = 1024


def peak_mib(pid: int | Literal["self"] = "self") -> float:
    """Return a process's peak of resident memory, or 0 without `/proc`.

    That of `wait4` and `getrusage` includes what the parent had when it forked.
    """
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / _KIB_PER_MIB if found else 0.0
    return 0.0
