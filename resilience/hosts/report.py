"""The campaigns on several hosts as they are kept, a JSON file each, and the tables that are made of them."""

from collections.abc import Sequence
from pathlib import Path

from purchase_pipeline_tests.marked_section import with_section
from resilience.hosts.campaign import Report

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"


def keep(report: Report, folder: Path) -> None:
    """Keep a report, in place of the last of its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "struck" if report.recovered else "calm"
    (folder / f"{kind}-{report.workers}.json").write_text(report.model_dump_json(indent=1) + "\n")


def written_into(document: str, folder: Path) -> str:
    """Return a document with the two tables of the kept reports between their markers.

    Raises:
        FileNotFoundError: there is no report of one worker.
        ValueError: the document does not have the markers.
    """
    struck = _kept(folder, "struck")
    calm = sorted(_kept(folder, "calm"), key=lambda report: report.workers)
    tables = {"hosts": _faults(struck), "throughput": _measured(calm)}
    for name, table in tables.items():
        document = with_section(document, BEGIN.format(name), END.format(name), table)
    return document


def _kept(folder: Path, kind: str) -> list[Report]:
    found = [Report.model_validate_json(path.read_bytes()) for path in folder.glob(f"{kind}-*.json")]
    if not found:
        raise FileNotFoundError(f"no {kind} campaign is kept in {folder}")
    return found


def _faults(reports: Sequence[Report]) -> str:
    (report,) = reports
    lines = [_row("fault", "seconds to recover"), _row("---", "---:")]
    lines += [_row(name, f"{seconds:.1f}") for name, seconds in report.recovered.items()]
    counts = (
        f"{report.workers} worker hosts, {report.lots} batches of {report.rows:,} rows in {report.seconds:.0f} s with "
        f"these faults: {report.lost} rows lost, {report.doubled} duplicated, {report.runs} runs. "
        f"`verify`: {report.verified}"
    )
    return "\n".join([*lines, "", counts])


def _measured(reports: Sequence[Report]) -> str:
    alone = reports[0].costs
    lines = [
        _row(
            "workers",
            "batches per hour",
            "CPU seconds per batch: workers",
            "database",
            "control",
        ),
        _row(*["---:"] * 5),
    ]
    for report in reports:
        costs, spent = report.costs, report.costs.cpu_seconds
        lines.append(
            _row(
                f"{report.workers}",
                f"{3600 / costs.seconds_between_lots:,.0f}",
                *(f"{spent[host]:.2f}" for host in ("workers", "database", "control")),
            )
        )
    a_lot = (
        f"A batch of {reports[0].rows:,} rows wrote {alone.wal_bytes / 1e6:.1f} MB of WAL and {alone.events:.0f} "
        f"entries in Dagster's event log, and opened {alone.sessions:.0f} connections."
    )
    return "\n".join([*lines, "", a_lot])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
