"""What a lot costs on each kind of host: measured while a campaign goes on."""

from time import monotonic
from typing import NamedTuple, Self

from pydantic import BaseModel

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from resilience.hosts.cluster import Cluster

_WRITTEN = "SELECT pg_current_wal_lsn() - '0/0'"
_SESSIONS = "SELECT sum(sessions) FROM pg_stat_database"
_EVENTS = "SELECT count(*) FROM event_logs"
_LOADED = "SELECT count(*) FROM slice_ledger WHERE asset = 'tabela_compras'"


class Costs(BaseModel, frozen=True):
    """What one lot cost: seconds of a processor by host, and what the database was asked for."""

    seconds_between_lots: float
    cpu_seconds: dict[str, float]
    wal_bytes: int
    sessions: float
    events: float


class Meter(NamedTuple):
    """What was spent up to a moment."""

    at: float
    lots: int
    cpu_seconds: dict[str, float]
    wal_bytes: int
    sessions: int
    events: int

    @classmethod
    def read(cls, hosts: Cluster) -> Self:
        """Read it now."""
        return cls(
            at=monotonic(),
            lots=_number(hosts, _LOADED),
            cpu_seconds={
                "workers": sum(host.cpu_seconds() for host in hosts.workers.values()),
                "database": hosts.database.cpu_seconds(),
                "api": hosts.api.cpu_seconds(),
                "broker": hosts.broker.cpu_seconds(),
                "control": hosts.control.cpu_seconds(),
            },
            wal_bytes=_number(hosts, _WRITTEN),
            sessions=_number(hosts, _SESSIONS),
            events=_number(hosts, _EVENTS, database=DAGSTER_DATABASE_NAME),
        )

    def since(self, before: Self) -> Costs:
        """Return what each lot cost since another moment."""
        lots = self.lots - before.lots
        return Costs(
            seconds_between_lots=round((self.at - before.at) / lots, 3),
            cpu_seconds={
                host: round((spent - before.cpu_seconds[host]) / lots, 4)
                for host, spent in self.cpu_seconds.items()
            },
            wal_bytes=(self.wal_bytes - before.wal_bytes) // lots,
            sessions=round((self.sessions - before.sessions) / lots, 1),
            events=round((self.events - before.events) / lots, 1),
        )


def _number(hosts: Cluster, query: str, **where: str) -> int:
    return int(next((number for (number,) in hosts.ask(query, **where)), 0))
