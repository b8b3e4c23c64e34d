"""dlt, into a table that it creates: as in its tutorial, and with the methods that its documentation calls fast."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from benchmarks.peers.arrow_lot import fetch_lote

SILENT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
}
_TABLE = "purchases"
_TIMEOUT_SECONDS = 60

Pages = Callable[[str, str, int], Iterator[Any]]


class DltPipeline:
    """A dlt pipeline that appends to a table in its own dataset."""

    def __init__(  # noqa: PLR0913  # the parameters of the variants
        self,
        name: str,
        api_url: str,
        database_url: str,
        folder: Path,
        *,
        dataset: str,
        pages: Pages,
        file_format: Literal["csv", "parquet"] | None = None,
    ) -> None:
        os.environ.update(SILENT)  # dlt reads it when it is imported
        import dlt  # noqa: PLC0415

        self.name = name
        self._api_url = api_url
        self._database_url = database_url
        self._pages = pages
        self._file_format = file_format
        self._dlt = dlt
        self._dataset = dataset
        self._pipeline = dlt.pipeline(
            pipeline_name=dataset,
            pipelines_dir=str(folder / "dlt"),
            destination=dlt.destinations.postgres(credentials(database_url)),
            dataset_name=dataset,
        )

    def prepare(self, lote: str) -> None:
        """Do nothing: the pipeline object is reused."""

    def load(self, lote: str, rows: int) -> None:
        """Extract, normalize and load one batch."""
        resource = self._dlt.resource(
            self._pages(self._api_url, lote, rows), name=_TABLE, write_disposition="append"
        )
        self._pipeline.run(resource, loader_file_format=self._file_format).raise_on_failed_jobs()

    def stored(self) -> int:
        """Count the rows of dlt's table."""
        with psycopg.connect(self._database_url) as connection:
            (count,) = connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(self._table)
            ).fetchone() or (0,)
            return int(count)

    def clean(self) -> None:
        """Empty dlt's table, but not its load history."""
        with psycopg.connect(self._database_url) as connection:
            connection.execute(sql.SQL("TRUNCATE {}").format(self._table))

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self._dataset, _TABLE)


def dlt_default(name: str, api_url: str, database_url: str, folder: Path, dataset: str) -> DltPipeline:
    """Return dlt as in its tutorial: dicts, with inferred types."""
    return DltPipeline(name, api_url, database_url, folder, dataset=dataset, pages=_as_dicts)


def dlt_fast(api_url: str, database_url: str, folder: Path) -> list[DltPipeline]:
    """Return the fast variants: Arrow tables as CSV by COPY, and as Parquet by ADBC."""
    formats: dict[Literal["csv", "parquet"], str] = {"csv": "CSV by COPY", "parquet": "Parquet by ADBC"}
    return [
        DltPipeline(
            f"dlt, Arrow tables, {way} (types, no validation)",
            api_url,
            database_url,
            folder,
            dataset=f"dlt_{file_format}",
            pages=_as_arrow,
            file_format=file_format,
        )
        for file_format, way in formats.items()
    ]


def credentials(database_url: str) -> str:
    """Add the host and password that dlt requires; the socket in the query takes precedence over the host."""
    return database_url.replace("postgres@/", "postgres:none@localhost/")


def _as_dicts(api_url: str, lote: str, rows: int) -> Iterator[Any]:
    from dlt.sources.helpers import requests  # noqa: PLC0415

    response = requests.get(f"{api_url}/gerar_compra/{rows}", params={"lote": lote}, timeout=_TIMEOUT_SECONDS)
    response.raise_for_status()
    yield response.json()


def _as_arrow(api_url: str, lote: str, rows: int) -> Iterator[Any]:
    yield fetch_lote(api_url, lote, rows)
