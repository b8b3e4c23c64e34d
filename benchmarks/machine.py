"""The machine and software of a benchmark, for comparing figures."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import psycopg
from pydantic import BaseModel

from benchmarks.bench import a_server

_PACKAGES = (
    *("dagster", "psycopg", "pydantic", "sqlalchemy", "httpx", "orjson", "zstandard", "uvicorn", "numpy"),
    *("pandas", "psycopg2-binary", "requests", "dlt", "pyarrow", "adbc-driver-postgresql"),
    *("duckdb", "msgspec", "pandera", "polars"),
)
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")


class Machine(BaseModel, frozen=True):
    """The machine and its software.

    Attributes:
        memory_gib: total memory.
        versions: of the relevant packages that are installed.
        durable: the server's settings for the durability of commits.
    """

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    postgres: str
    versions: dict[str, str]
    durable: dict[str, str]

    def described(self) -> str:
        """Return a description in one sentence."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        durable = ", ".join(f"`{name} = {value}`" for name, value in self.durable.items())
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gib:g} GiB of memory, {self.kernel}; "
            f"Python {self.python}, PostgreSQL {self.postgres} ({durable}); {versions}."
        )


def this_machine() -> Machine:
    """Describe this machine; starts a server to read its version and settings."""
    with a_server() as (_, server), psycopg.connect(server.url("postgres")) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), "
            "array(SELECT current_setting(name) FROM unnest(%s::text[]) AS name)",
            [list(_DURABLE)],
        ).fetchone()
    postgres, settings = row or ("", [])
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / (1 << 30), 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        postgres=postgres.split()[0],
        versions=_versions(),
        durable=dict(zip(_DURABLE, settings, strict=True)),
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
