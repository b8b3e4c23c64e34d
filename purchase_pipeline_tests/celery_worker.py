"""How a worker of Celery's is started, wherever a test wants one."""

import sys
from pathlib import Path


def worker_command(name: str) -> list[str]:
    """Return the command of a worker that does one run at a time, and calls itself so (`name@host`)."""
    celery = str(Path(sys.executable).with_name("celery"))
    return [
        *(celery, "--app", "purchase_pipeline.launchers.celery_app", "worker"),
        *("--concurrency", "1", "--hostname", name),
    ]
