"""Peers of feeds, each in a process of its own.

`python -m benchmarks.peers.feed_worker NAME API_URL DATABASE_URL FOLDER`
"""

import codecs
import csv
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers.dlt_pipelines import SILENT, credentials

EXPORT = "/2026/2026-01-05.csv.gz"
SERIES = ("1", "433", "4189")
MONTHS = [f"{year}-{month:02}" for year in range(2006, 2026) for month in range(1, 13)]
_COLUMNS = ["código", "preço", "peso", "observação"]
_CHUNK_ROWS = 20_000


def _text_of(api_url: str) -> Iterator[str]:
    """Yield the export's text, unpacked as it arrives."""
    unpack, decode = zlib.decompressobj(31), codecs.getincrementaldecoder("latin-1")()
    with httpx.stream("GET", api_url + EXPORT, headers={"X-API-Key": "secret"}) as response:
        for chunk in response.iter_raw():
            yield decode.decode(unpack.decompress(chunk))


class _Lines(Iterator[str]):
    """Lines, with their ends, of pieces of text."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces, self._known = pieces, ""
        self._lines: Iterator[str] = iter(())

    def __next__(self) -> str:
        for line in self._lines:
            return line
        for piece in self._pieces:
            *whole, self._known = (self._known + piece).splitlines(keepends=True) or [""]
            self._lines = iter(whole)
            return next(self)
        if self._known:
            rest, self._known = self._known, ""
            return rest
        raise StopIteration


def _dicts_of_export(api_url: str) -> Iterator[Any]:
    rows = csv.DictReader(_Lines(_text_of(api_url)), delimiter=";")
    chunk = list[dict[str, Any]]()
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            yield chunk
            chunk = []
    yield chunk


def _arrow_of_export(api_url: str) -> Iterator[Any]:
    """Yield record batches of texts; rows with another number of cells are skipped."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    packed = Path("export.csv.gz")
    with (
        httpx.stream("GET", api_url + EXPORT, headers={"X-API-Key": "secret"}) as response,
        packed.open("wb") as file,
    ):
        for chunk in response.iter_raw():
            file.write(chunk)
    with pa.CompressedInputStream(pa.OSFile(str(packed)), "gzip") as content:
        yield from arrow_csv.open_csv(
            content,
            read_options=arrow_csv.ReadOptions(encoding="latin-1"),
            parse_options=arrow_csv.ParseOptions(
                delimiter=";", newlines_in_values=True, invalid_row_handler=lambda _: "skip"
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.string())),
        )


def _statistics(api_url: str) -> Iterator[Any]:
    """Yield the answers of all series and months."""
    with httpx.Client() as client:
        for month in MONTHS:
            year, number = month.split("-")
            for series in SERIES:
                query = {"from": f"01/{number}/{year}", "to": f"28/{number}/{year}"}
                yield client.get(f"{api_url}/series/{series}", params=query).json()


def _by_dlt(name: str, rows: Iterator[Any], database_url: str, file_format: Any = None) -> None:  # noqa: ANN401  (dlt's literals)
    os.environ.update(SILENT)  # dlt reads it when it is imported
    import dlt  # noqa: PLC0415

    pipeline = dlt.pipeline(
        pipeline_name="feeds",
        pipelines_dir="dlt",
        destination=dlt.destinations.postgres(credentials(database_url)),
        dataset_name=name.replace("-", "_"),
    )
    resource = dlt.resource(rows, name="loaded", write_disposition="replace")
    pipeline.run(resource, loader_file_format=file_format).raise_on_failed_jobs()


def _by_io_manager(rows: Iterator[Any], database_url: str) -> None:
    import dagster as dg  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    from purchase_pipeline.postgres import Batches, PostgresIOManager  # noqa: PLC0415

    def loaded() -> Any:  # noqa: ANN401  (made at run time)
        return Batches[pa.RecordBatch](rows)

    asset = dg.asset(loaded, name="loaded", output_required=True)
    dg.materialize([asset], resources={"io_manager": PostgresIOManager(database_url=database_url)})


def main() -> None:
    """Load what is named."""
    name, api_url, database_url, folder = sys.argv[1:5]
    os.chdir(folder)
    if name == "dlt-dicts":
        _by_dlt(name, _dicts_of_export(api_url), database_url)
    elif name == "dlt-arrow":
        _by_dlt(name, _arrow_of_export(api_url), database_url, "csv")
    elif name == "io-manager":
        _by_io_manager(_arrow_of_export(api_url), database_url)
    else:
        _by_dlt(name, _statistics(api_url), database_url)


if __name__ == "__main__":
    main()
