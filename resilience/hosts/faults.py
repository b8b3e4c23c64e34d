"""What happens to hosts in mid-campaign, and how long it takes until what was struck is whole again."""

from collections.abc import Sequence
from time import monotonic, sleep, time

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until
from resilience.hosts.cluster import Cluster

CUT_SECONDS = 20.0
_AWAY_SECONDS = 10.0
_HEAL_SECONDS = 240.0
_TRIES = 20

_LOADED = """
    SELECT FROM slice_ledger accepted JOIN slice_ledger rejected USING (partition, digest)
    WHERE accepted.asset = 'tabela_compras' AND rejected.asset = 'compras_rejeitadas' AND partition = %s
"""
_RUN_OF_TASK = """
    SELECT partition FROM runs JOIN run_tags USING (run_id)
    WHERE key = 'dagster-celery/task_id' AND value = %s AND status = 'STARTED' AND pipeline_name = 'ingest_lote'
"""
LOTS_UNDER_WAY = "SELECT partition FROM runs WHERE status = 'STARTED' AND pipeline_name = 'ingest_lote'"
_LOADED_SINCE = (
    "SELECT FROM runs WHERE status = 'SUCCESS' AND pipeline_name = 'ingest_lote' AND start_time > %s"
)


def lose_a_worker_host(cluster: Cluster) -> float:
    """Pull a worker host's cable out and kill all that runs there, in mid-lot; start it again when the lot is whole.

    Returns:
        Seconds from the loss to the lot being loaded, by another host.

    Raises:
        NotInTimeError: no lot was struck, or it was not loaded.
    """
    for _ in range(_TRIES):
        seconds = _lose(cluster, *_a_busy_worker(cluster))
        if seconds is not None:
            return seconds
    raise NotInTimeError(f"no lot was struck in {_TRIES} tries")


def _lose(cluster: Cluster, name: str, task: str) -> float | None:
    """Lose a worker's host for as long as its lot is not whole; None where it was done with it just before."""
    host = cluster.workers[name]
    host.unplug()
    lost_at = monotonic()
    host.kill()
    struck = cluster.ask(_RUN_OF_TASK, task, database=DAGSTER_DATABASE_NAME)
    try:
        if not struck or _is_loaded(cluster, struck[0][0]):
            return None
        wait_until(lambda: _is_loaded(cluster, struck[0][0]), f"{struck[0][0]} loaded", _HEAL_SECONDS)
        return monotonic() - lost_at
    finally:
        host.plug()
        cluster.start_worker(name)
        wait_until(lambda: name in cluster.busy(), f"{name} back", _HEAL_SECONDS)


def cut_the_database_off(cluster: Cluster) -> float:
    """Pull the database host's cable out for 20 s, while lots are under way.

    Returns:
        Seconds from the cable being in again to all those lots being loaded.
    """
    found: Sequence[tuple[str]] = []

    def under_way() -> bool:
        nonlocal found
        found = cluster.ask(LOTS_UNDER_WAY, database=DAGSTER_DATABASE_NAME)
        return bool(found)

    wait_until(under_way, "lots under way", _HEAL_SECONDS)
    cluster.database.unplug()
    sleep(CUT_SECONDS)
    cluster.database.plug()
    lots = [lote for (lote,) in found]
    return wait_until(
        lambda: all(_is_loaded(cluster, lote) for lote in lots), f"{', '.join(lots)} loaded", _HEAL_SECONDS
    )


def kill_the_broker(cluster: Cluster) -> float:
    """Kill Redis while lots are under way, and start it again after 10 s.

    Returns:
        Seconds from its start to the end of a run that began after it was killed.
    """
    killed_at = time()
    cluster.broker.kill()
    sleep(_AWAY_SECONDS)
    cluster.start_broker()
    return wait_until(
        lambda: cluster.ask(_LOADED_SINCE, killed_at, database=DAGSTER_DATABASE_NAME),
        "a run after the broker's death",
        _HEAL_SECONDS,
    )


def _a_busy_worker(cluster: Cluster) -> tuple[str, str]:
    """Return a worker that is at a lot, and the task."""
    deadline = monotonic() + _HEAL_SECONDS
    while monotonic() < deadline:
        for name, tasks in cluster.busy().items():
            if tasks and cluster.ask(_RUN_OF_TASK, tasks[0], database=DAGSTER_DATABASE_NAME):
                return name, tasks[0]
    raise NotInTimeError(f"no worker is at a lot: {cluster.busy()}")


def _is_loaded(cluster: Cluster, lote: str) -> bool:
    return bool(cluster.ask(_LOADED, lote))
