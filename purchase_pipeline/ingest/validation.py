"""Validation of a raw partition against the contract, into accepted and rejected rows."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import islice, repeat
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.fast_path import SYSTEM_ERRORS, as_text, fast_path_for
from purchase_pipeline.ingest.printable import in_brief
from purchase_pipeline.postgres.frames.model_values import converters_from_model

BATCH_ROWS = 500
"""Rows validated at a time: enough to amortize the overhead, few enough for the CPU's caches."""

_LONGEST_ORIGINAL = 4_000
_LONGEST_INPUT = 80
_MOST_REASONS = 20
_REASONS_SHOWN = 3

PARTICULARS = r" (\(saw .*|at line \d+ column \d+)$"
"""The part of a reason that is specific to a row, as a regular expression for Python and PostgreSQL."""


class TooManyRejectsError(PipelineError):
    """The ratio of rejected rows reached `max_rejected_ratio`."""


class MissingRowsError(PipelineError):
    """The landed file does not have the number of rows that were received."""


class RejectedRow(NamedTuple):
    """A row that failed validation, with its reasons and its original text."""

    row_number: int
    fields: list[str]
    reasons: list[str]
    original: str
    original_sha256: str


def most_common_reasons(reasons: Iterable[Sequence[str]], count: int) -> list[tuple[str, int]]:
    """Return the most common reasons, without the values seen, and their numbers of rows."""
    kinds = (dict.fromkeys(re.sub(PARTICULARS, "", reason) for reason in row) for row in reasons)
    return Counter(kind for row in kinds for kind in row).most_common(count)


class RowValidation:
    """One pass over a partition's raw rows. `rejected` is complete once `accepted` is exhausted.

    Args:
        received: number of raw rows in the partition.
        max_rejected_ratio: ratio of rejected rows, 0 to 1, at which the whole partition fails.
        today: latest valid date of a purchase.
        contract: model that validates a row.
    """

    def __init__(
        self,
        partition: str,
        *,
        received: int,
        max_rejected_ratio: float,
        today: date,
        contract: type[BaseModel] = CompraSchema,
    ) -> None:
        self._partition = partition
        self._received = received
        self._max_rejected_ratio = max_rejected_ratio
        self._today = today
        self._contract = contract
        self._fast_path = fast_path_for(contract, today)
        self._converters = converters_from_model(contract)
        self.rejected: list[RejectedRow] = []

    def accepted(self, raw_rows: Iterable[bytes]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield lists of `(partition, row number, *fields)`, fields in the contract's order, row numbers from 1.

        Values are text for COPY: `12`, `3.50`, `2024-03-09`.

        Raises:
            TooManyRejectsError: as soon as `max_rejected_ratio` is reached.
            MissingRowsError: the number of rows is not the number received.
        """
        rows, seen = iter(raw_rows), 0
        while batch := list(islice(rows, BATCH_ROWS)):
            yield self._validate_batch(batch, first=seen + 1)
            seen += len(batch)
        if seen != self._received:
            raise MissingRowsError(
                f"{self._partition}: {self._received} rows were received, but the landed file has {seen}.",
                hint="Materialize the raw asset again (raw_purchases: with `refetch: true`).",
            )

    def _validate_batch(self, batch: Sequence[bytes], first: int) -> list[tuple[Any, ...]]:
        passed = self._fast_path.passed(batch)
        numbers = [str(first + index) for index in passed.indexes]
        accepted = list(zip(repeat(self._partition), numbers, *passed.columns))
        if len(accepted) == len(batch):
            return accepted
        by_index = dict(zip(passed.indexes, accepted, strict=True))
        for index in sorted(set(range(len(batch))) - by_index.keys()):
            row = self._validate_row(first + index, batch[index])
            if row is not None:
                by_index[index] = row
        return [by_index[index] for index in sorted(by_index)]

    def _validate_row(self, row_number: int, raw: bytes) -> tuple[Any, ...] | None:
        """Return the validated row, or None after adding it to `rejected`."""
        try:
            row = self._contract.model_validate_json(raw, context={"today": self._today})
            return self._partition, str(row_number), *(self._stored(name, value) for name, value in row)
        except ValidationError as refusal:
            details = refusal.errors(include_url=False, include_context=False)[:_MOST_REASONS]
            fields = [_field(detail) for detail in details if detail["loc"]]
            self._reject(row_number, raw, fields, [_reason(detail) for detail in details])
            return None
        except SYSTEM_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001  # a validator may raise anything
            self._reject(row_number, raw, [], [storable_text(f"A validator raised {error!r}".encode())])
            return None

    def _stored(self, name: str, value: Any) -> Any:  # noqa: ANN401
        """Return a field's value as COPY takes it.

        Raises:
            ValidationError: its column cannot hold it.
        """
        if name not in self._converters:
            return as_text(value)
        try:
            return self._converters[name](value)
        except (TypeError, ValueError) as error:
            reason = PydanticCustomError("unstorable", "{reason}", {"reason": str(error)})
            line = InitErrorDetails(type=reason, loc=(name,), input=value)
            raise ValidationError.from_exception_data(self._contract.__name__, [line]) from error

    def _reject(self, row_number: int, raw: bytes, fields: list[str], reasons: list[str]) -> None:
        self.rejected.append(
            RejectedRow(row_number, fields, reasons, storable_text(raw), hashlib.sha256(raw).hexdigest())
        )
        if len(self.rejected) / self._received >= self._max_rejected_ratio:  # not a product: 0.07 * 100 > 7
            raise self._too_many(row_number)

    def _too_many(self, row_number: int) -> TooManyRejectsError:
        most_common = most_common_reasons((row.reasons for row in self.rejected), _REASONS_SHOWN)
        reasons = "; ".join(
            f"{in_brief(reason)}: {rows} row{'s' * (rows != 1)}" for reason, rows in most_common
        )
        return TooManyRejectsError(
            f"{self._partition}: {len(self.rejected)} of the first {row_number} rows were rejected, which reaches the "
            f"limit of {self._max_rejected_ratio:.1%} of {self._received} rows. The batch was not loaded; rows loaded "
            f"before are kept. Most common: {reasons}.",
            hint="Fix the source or the contract, or raise PURCHASE_MAX_REJECTED_RATIO.",
        )


def _field(detail: ErrorDetails) -> str:
    return storable_text(".".join(map(str, detail["loc"])).encode())


def _reason(detail: ErrorDetails) -> str:
    """Return the error as a sentence: `price: Input should be greater than 0 (saw -5.0)`."""
    if not detail["loc"]:
        return detail["msg"]
    shown = "" if detail["type"] == "missing" else f" (saw {detail['input']!r})"
    if len(shown) > _LONGEST_INPUT:
        shown = f"{shown[:_LONGEST_INPUT]}...)"
    return f"{_field(detail)}: {detail['msg']}{shown}"


def storable_text(raw: bytes) -> str:
    r"""Return up to 4,000 characters for PostgreSQL, with invalid UTF-8 and NUL escaped as `\xNN`."""
    text = raw[: 4 * (_LONGEST_ORIGINAL + 1)].decode("utf-8", "backslashreplace").replace("\x00", r"\x00")
    if len(text) > _LONGEST_ORIGINAL:
        return f"{text[:_LONGEST_ORIGINAL]}... ({len(raw)} bytes in all)"
    return text
