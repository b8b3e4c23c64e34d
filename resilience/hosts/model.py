"""How many lots an hour so many workers load, and what they wait for first: a queueing model of measured costs.

Workers take turns at what they share. Each shared thing is a queue with a demand, in seconds a lot; what a worker does
for itself is time that it shares with nobody. Mean value analysis (Reiser and Lavenberg 1980) gives the throughput of
such a closed network exactly, from one worker to any number.
"""

from collections.abc import Mapping
from typing import NamedTuple

from resilience.hosts.costs import Costs

# Each a fact: benchmarks' `many_lots` (a tick), sensors.py (lots a tick, of which one comes every 5 s).
LOTS_A_TICK, TICK_SECONDS = 50, 5.0


class Site(NamedTuple):
    """A place to run: one machine that all share, or a host for each part with so many processors."""

    database_cores: int = 0
    api_cores: int = 0
    wal_bytes_a_second: float = 200e6
    shared_cores: int = 0

    def demands(self, costs: Costs) -> dict[str, float]:
        """Return the seconds that a lot holds each shared thing."""
        spent = costs.cpu_seconds
        if self.shared_cores:
            return {"the machine's processors": sum(spent.values()) / self.shared_cores}
        return {
            "the database's processors": spent["database"] / self.database_cores,
            "the database's WAL": costs.wal_bytes / self.wal_bytes_a_second,
            "the API's processors": spent["api"] / self.api_cores,
            "Dagster's daemon, one process": spent["control"],
            "the broker, one process": spent["broker"],
        }


class Forecast(NamedTuple):
    """Lots an hour, what limits them in the end, and how many lots an hour that lets through at most."""

    lots_an_hour: float
    bottleneck: str
    most_lots_an_hour: float


def forecast(alone: Costs, workers: int, site: Site) -> Forecast:
    """Say what so many workers do, from what one alone cost.

    Raises:
        ValueError: costs of several workers: their time already has waits in it.
    """
    if alone.workers != 1:
        raise ValueError(f"costs of one worker are wanted, not of {alone.workers}")
    demands = site.demands(alone)
    for_itself = max(alone.seconds_between_lots - sum(demands.values()), 0.0)
    rate = _throughput(demands, for_itself, workers)
    bottleneck, demand = max(demands.items(), key=lambda item: item[1])
    sensor = LOTS_A_TICK / TICK_SECONDS
    if sensor < 1 / demand:
        bottleneck, demand = "the sensor, 50 lots every 5 s", 1 / sensor
    return Forecast(3600 * min(rate, 1 / demand), bottleneck, 3600 / demand)


def _throughput(demands: Mapping[str, float], for_itself: float, workers: int) -> float:
    """Return the lots a second of a closed network: the recursion of mean value analysis."""
    queued = dict.fromkeys(demands, 0.0)
    rate = 0.0
    for number in range(1, workers + 1):
        stay = {name: demand * (1 + queued[name]) for name, demand in demands.items()}
        rate = number / (for_itself + sum(stay.values()))
        queued = {name: rate * seconds for name, seconds in stay.items()}
    return rate
