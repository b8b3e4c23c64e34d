"""Validation of a raw partition against the contract, into accepted and rejected rows."""

import hashlib
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from importlib import import_module
from itertools import islice
from operator import itemgetter
from shlex import quote
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from purchase_pipeline import PipelineError
from purchase_pipeline.contracts import FROM_REQUEST
from purchase_pipeline.ingest.formats import Csv
from purchase_pipeline.ingest.landing.pages import LandedRows, PageRows, page_of
from purchase_pipeline.ingest.printable import in_brief, labelled, one_line, printable, quantity
from purchase_pipeline.ingest.row_readers import (
    SYSTEM_ERRORS,
    CsvReader,
    InvalidRowError,
    JsonReader,
    RowReader,
    require_from_request_outermost,
)
from purchase_pipeline.ingest.storable import checks_of
from purchase_pipeline.postgres import CopyText
from purchase_pipeline.postgres.frames.model_values import converters_from_model

if TYPE_CHECKING:
    from purchase_pipeline.ingest.fast_path import FastPath

BATCH_ROWS = 1_000
"""Rows validated at a time: enough to amortize the overhead, few enough for memory."""

_ENOUGH_ROWS = 1_000
"""Rows of a page for which the fast path's start pays."""

_BULK_ROWS = 4_000
_BULK_BYTES = 4 << 20
"""Rows that the fast path takes at a time, and their size: its overhead is 5 ms."""

_TEXT_TYPES = (str, int, date, Decimal)

_LONGEST_ORIGINAL = 4_000
_LONGEST_INPUT = 80
_MOST_REASONS = 20
_REASONS_SHOWN = 3
_SAMPLE_ROWS = 10
_SAMPLE_LENGTH = 300

PARTICULARS = r" (\(saw .*|at line \d+ column \d+)$"
"""The part of a reason that is specific to a row, as a regular expression for Python and PostgreSQL."""


class MissingRowsError(PipelineError):
    """The landed file does not have the number of rows that were received."""


class RejectedRow(NamedTuple):
    """A row that failed validation, with its reasons and its original text."""

    row_number: int
    fields: list[str]
    reasons: list[str]
    original: str
    original_sha256: str


class TooManyRejectsError(PipelineError):
    """The ratio of rejected rows reached `max_rejected_ratio`.

    Attributes:
        rows_read: number of rows validated until then.
        rejected_rows: number of those that were rejected.
        sample: the first of them, abbreviated.
    """

    def __init__(self, message: str, *, hint: str, rows_read: int, rejected: Sequence[RejectedRow]) -> None:
        super().__init__(message, hint=hint)
        self.rows_read = rows_read
        self.rejected_rows = len(rejected)
        self.sample = [
            {
                "row": row.row_number,
                "reasons": in_brief("; ".join(row.reasons)),
                "original": one_line(row.original, _SAMPLE_LENGTH),
            }
            for row in rejected[:_SAMPLE_ROWS]
        ]


def kinds_of(reasons: Iterable[str]) -> list[str]:
    """Return the reasons of a row without the values seen, each once."""
    return list(dict.fromkeys(re.sub(PARTICULARS, "", reason) for reason in reasons))


def most_common_reasons(reasons: Iterable[Sequence[str]], count: int) -> list[tuple[str, int]]:
    """Return the most common reasons, without the values seen, and their numbers of rows."""
    kinds = map(kinds_of, reasons)
    return Counter(kind for row in kinds for kind in row).most_common(count)


class RowValidation:
    """One pass over a partition's raw rows. `rejected` is complete once `accepted` is exhausted.

    Args:
        contract: model that validates a row.
        received: number of raw rows in the partition.
        max_rejected_ratio: ratio of rejected rows, 0 to 1, at which the whole partition fails.
        min_rejected_rows: number of rejected rows below which it does not, whatever the ratio.
        today: latest valid date of a purchase.
    """

    def __init__(  # noqa: PLR0913  (one for each setting)
        self,
        partition: str,
        *,
        contract: type[BaseModel],
        received: int,
        max_rejected_ratio: float,
        min_rejected_rows: int = 0,
        today: date,
    ) -> None:
        require_from_request_outermost(contract)
        self._partition = partition
        self._received = received
        self._max_rejected_ratio = max_rejected_ratio
        self._min_rejected_rows = min_rejected_rows
        self._today = today
        self._contract = contract
        names = list(contract.model_fields)
        self._checks = [
            (names.index(name), _received_name(contract, name), check)
            for name, check in checks_of(contract).items()
        ]
        self._converters = [
            (names.index(name), _received_name(contract, name), convert)
            for name, convert in converters_from_model(contract).items()
        ]
        self._values_of = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self.rejected: list[RejectedRow] = []

    def accepted(
        self, raw_rows: LandedRows | Iterable[bytes], *, in_bulk: bool = False
    ) -> Generator[list[tuple[Any, ...]] | CopyText]:
        """Yield lists of `(partition, row number, *fields)`, fields in the contract's order, row numbers from 1.

        Values are text for COPY: `12`, `3.50`, `2024-03-09`. Rows that are not those of a landed file are JSON.

        Args:
            raw_rows: the rows, or the pages that have them.
            in_bulk: whether large pages take the fast path, which yields most rows as lines of COPY.

        Raises:
            TooManyRejectsError: as soon as `max_rejected_ratio` is reached.
            MissingRowsError: the number of rows is not the number received.
        """
        pages = raw_rows.pages() if isinstance(raw_rows, LandedRows) else [page_of(raw_rows)]
        seen = 0
        for page in pages:
            fast_path, reader, begun = None, self._reader(page), seen
            bulk = in_bulk and page.page.rows >= _ENOUGH_ROWS
            while batch := _next_rows(page.rows, _BULK_ROWS if bulk else BATCH_ROWS):
                if bulk and seen == begun:
                    fast_path = self._fast_path(page)
                if fast_path is None:
                    yield self._validate_rows(range(seen + 1, seen + 1 + len(batch)), batch, reader)
                else:
                    yield from self._validate_in_bulk(batch, seen + 1, reader, fast_path)
                seen += len(batch)
        if seen != self._received:
            raise MissingRowsError(
                labelled(
                    self._partition,
                    f"{self._received} rows were received, but the landed file has {seen}.",
                ),
                hint="Materialize the raw asset again with `refetch: true`.",
            )

    def _reader(self, page: PageRows) -> RowReader:
        context = {"today": self._today, "variables": page.page.variables}
        row_format = page.page.format
        if isinstance(row_format, Csv):
            return CsvReader(self._contract, context, row_format, page.splitter)
        return JsonReader(self._contract, context)

    def _fast_path(self, page: PageRows) -> "FastPath | None":
        """Return the fast path of a page, whose first row has been read."""
        # It loads pyarrow, which small pages do without.
        module = import_module("purchase_pipeline.ingest.fast_path")
        found: FastPath | None = module.fast_path_for(self._contract, self._today, self._partition, page)
        return found

    def _validate_in_bulk(
        self, batch: Sequence[bytes], first: int, reader: RowReader, fast_path: "FastPath"
    ) -> Iterator[list[tuple[Any, ...]] | CopyText]:
        passed = fast_path.passed(batch, first)
        rest = sorted(set(range(len(batch))).difference(passed.indexes))
        others = self._validate_rows(
            [first + index for index in rest], [batch[index] for index in rest], reader
        )
        at = 0
        for row in others:
            index = int(row[1]) - first
            yield passed.between(at, index)
            yield [row]
            at = index
        yield passed.between(at, len(batch))

    def _validate_rows(
        self, numbers: Sequence[int], raw_rows: Sequence[bytes], reader: RowReader
    ) -> list[tuple[Any, ...]]:
        """Return the valid rows, after adding the others to `rejected`."""
        accepted, validated, values_of = list[tuple[Any, ...]](), reader.validated, self._values_of
        for number, raw, parsed in zip(numbers, raw_rows, reader.parsed(raw_rows), strict=True):
            try:
                values = values_of(validated(parsed).__dict__)
                if self._checks:
                    self._require_storable(values)
                if self._converters:
                    values = self._converted(values)
            except SYSTEM_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001  # a validator may raise anything
                self._reject(number, raw, *self._explained(error, reader, parsed))
            else:
                accepted.append((self._partition, str(number), *map(_as_text, values)))
        return accepted

    def _require_storable(self, values: Sequence[Any]) -> None:
        for place, name, check in self._checks:
            try:
                check(values[place])
            except ValueError as error:
                raise InvalidRowError(f"{name}: {error}{_seen(values[place])}", name) from error

    def _converted(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the values as COPY takes them."""
        converted = list(values)
        for place, name, convert in self._converters:
            try:
                converted[place] = convert(values[place])
            except (TypeError, ValueError) as error:
                raise InvalidRowError(f"{name}: {error}{_seen(values[place])}", name) from error
        return converted

    def _explained(self, error: Exception, reader: RowReader, parsed: Any) -> tuple[list[str], list[str]]:  # noqa: ANN401
        """Return the fields and reasons of an invalid row."""
        if isinstance(error, ValidationError):
            details = error.errors(include_url=False, include_context=False)[:_MOST_REASONS]
            return [_field(detail) for detail in details if detail["loc"]], [
                _reason(detail) for detail in details
            ]
        reason = storable_text(
            (str(error) if isinstance(error, InvalidRowError) else _raised(error)).encode()
        )
        if isinstance(error, InvalidRowError):
            return [storable_text(error.field.encode())] if error.field else [], [reason]
        fields = [storable_text(name.encode()) for name in _raising(reader, parsed)]
        return fields, [f"{fields[0]}: {reason}" if fields else reason]

    def _reject(self, row_number: int, raw: bytes, fields: list[str], reasons: list[str]) -> None:
        # Many rows have the same fields and reasons.
        texts = [*map(intern, fields)], [*map(intern, reasons)]
        self.rejected.append(
            RejectedRow(row_number, *texts, storable_text(raw), hashlib.sha256(raw).hexdigest())
        )
        rejected = len(self.rejected)
        # Not a product: 0.07 * 100 > 7.
        if (
            rejected >= self._min_rejected_rows
            and rejected / (self._received or 1) >= self._max_rejected_ratio
        ):
            raise self._too_many(row_number)

    def _too_many(self, row_number: int) -> TooManyRejectsError:
        most_common = most_common_reasons((row.reasons for row in self.rejected), _REASONS_SHOWN)
        reasons = "; ".join(f"{in_brief(reason)}: {quantity(rows, 'row')}" for reason, rows in most_common)
        return TooManyRejectsError(
            f"{labelled(self._partition, str(len(self.rejected)))} of the first {row_number} rows were rejected, "
            f"which reaches the limit of {self._max_rejected_ratio:.1%} of {self._received} rows. The batch was not "
            f"loaded; rows loaded before are kept. Most common: {reasons}.",
            hint=f"See them with `purchase-pipeline rejects --landed {printable(quote(self._partition))}`. Fix the "
            "source or the contract, or raise max_rejected_ratio (of the purchases: PURCHASE_MAX_REJECTED_RATIO).",
            rows_read=row_number,
            rejected=self.rejected,
        )


def _next_rows(rows: Iterator[bytes], most: int) -> list[bytes]:
    found = list(islice(rows, BATCH_ROWS))
    while (
        len(found) < most and sum(map(len, found)) < _BULK_BYTES and (more := list(islice(rows, BATCH_ROWS)))
    ):
        found += more
    return found


def _as_text(value: Any) -> Any:  # noqa: ANN401
    """Return a value as text for PostgreSQL, or unchanged if psycopg has to dump its type."""
    return str(value) if type(value) in _TEXT_TYPES else value


def _received_name(contract: type[BaseModel], name: str) -> str:
    """Return a field's name as pydantic gives it in errors."""
    alias = contract.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else name


def _field(detail: ErrorDetails) -> str:
    return storable_text(".".join(map(str, detail["loc"])).encode())


def _reason(detail: ErrorDetails) -> str:
    """Return the error as a sentence: `price: Input should be greater than 0 (saw -5.0)`."""
    if not detail["loc"]:
        return detail["msg"]
    shown = "" if detail["type"] in {"missing", FROM_REQUEST} else _seen(detail["input"])
    return f"{_field(detail)}: {detail['msg']}{shown}"


def _seen(value: Any) -> str:  # noqa: ANN401
    shown = f" (saw {value!r})"
    return shown if len(shown) <= _LONGEST_INPUT else f"{shown[:_LONGEST_INPUT]}...)"


def _raised(error: Exception) -> str:
    return f"A validator raised {error!r}".encode(errors="backslashreplace").decode()


def _raising(reader: RowReader, parsed: Any) -> list[str]:  # noqa: ANN401
    """Return the member whose validator raises, found by validating each alone; none if it is not one."""
    raising = list[str]()
    for name, alone in reader.members(parsed).items():
        try:
            reader.validated(alone)
        except SYSTEM_ERRORS:
            raise
        except (ValidationError, InvalidRowError):
            continue
        except Exception:  # noqa: BLE001  # as above
            raising.append(name)
    return raising if len(raising) == 1 else []


def storable_text(raw: bytes) -> str:
    r"""Return up to 4,000 characters for PostgreSQL, with invalid UTF-8 and NUL escaped as `\xNN`."""
    text = raw[: 4 * (_LONGEST_ORIGINAL + 1)].decode("utf-8", "backslashreplace").replace("\x00", r"\x00")
    if len(text) > _LONGEST_ORIGINAL:
        return f"{text[:_LONGEST_ORIGINAL]}... ({len(raw)} bytes in all)"
    return text
