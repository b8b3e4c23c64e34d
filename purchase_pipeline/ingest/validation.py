"""Holds a raw lot against the contract: accepted rows one way, rejected rows, with their reasons, the other."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import islice, repeat
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.errors import PipelineError
from purchase_pipeline.ingest.fast_path import NO_ROWS_FAULT, as_text, fast_path_for
from purchase_pipeline.ingest.printable import in_brief

BATCH_ROWS = 500
"""Rows validated and passed on at a time: so many that a batch costs nothing, so few that they stay in a cache."""

_LONGEST_ORIGINAL = 4_000
_LONGEST_SIGHT = 80
_MOST_REASONS = 20
_REASONS_TOLD = 3

PARTICULARS = r" (\(saw .*|at line \d+ column \d+)$"
"""The end of a reason that is one row's alone, as a pattern for Python and PostgreSQL."""


class TooManyRejectsError(PipelineError):
    """So many rows break the contract that the lot, or the contract, must be wrong."""


class DamagedLotError(PipelineError):
    """The landed lot does not have the rows that it had when it landed."""


class RejectedRow(NamedTuple):
    """A row that broke the contract, with what is needed to understand it."""

    linha: int
    fields: list[str]
    reasons: list[str]
    original: str
    original_sha256: str


def most_common_reasons(reasons: Iterable[Sequence[str]], count: int) -> list[tuple[str, int]]:
    """Return the commonest reasons of rejected rows, each with its number of rows, without the values seen."""
    kinds = (dict.fromkeys(re.sub(PARTICULARS, "", reason) for reason in row) for row in reasons)
    return Counter(kind for row in kinds for kind in row).most_common(count)


class LoteValidation:
    """One pass over a lot's raw rows. Read `accepted` to its end; `rejected` is whole after that.

    Args:
        received: number of raw rows in the lot.
        max_rejected_ratio: share of the lot, 0 to 1, at which rejects make the whole lot fail.
        today: the day that a purchase may not be later than.
        contract: what a row is held against; by default a purchase's.
    """

    def __init__(
        self,
        lote: str,
        *,
        received: int,
        max_rejected_ratio: float,
        today: date,
        contract: type[BaseModel] = CompraSchema,
    ) -> None:
        self._lote = lote
        self._received = received
        self._max_rejected_ratio = max_rejected_ratio
        self._today = today
        self._contract = contract
        self._sieve = fast_path_for(contract, today)
        self.rejected: list[RejectedRow] = []

    def accepted(self, raw_rows: Iterable[bytes]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield batches of `(lote, linha, *fields)`, fields in the contract's order, linha counted from 1.

        All are texts, as PostgreSQL reads them, for COPY sends texts: `12`, `3.50`, `2024-03-09`.

        Raises:
            TooManyRejectsError: as soon as the rejects reach the allowed share of the lot.
            DamagedLotError: the rows end before, or go on after, the number received.
        """
        rows, seen = iter(raw_rows), 0
        while batch := list(islice(rows, BATCH_ROWS)):
            yield self._judge(batch, first=seen + 1)
            seen += len(batch)
        if seen != self._received:
            raise DamagedLotError(
                f"{self._lote}: {self._received} rows were received, but the landed file has {seen}. "
                "Fetch it again: materialize the asset that landed it (raw_purchases: with `refetch: true`)."
            )

    def _judge(self, batch: Sequence[bytes], first: int) -> list[tuple[Any, ...]]:
        passed = self._sieve.passed(batch)
        linhas = [str(first + place) for place in passed.places]
        accepted = list(zip(repeat(self._lote), linhas, *passed.columns))
        if len(accepted) == len(batch):
            return accepted
        by_place = dict(zip(passed.places, accepted, strict=True))
        for place in sorted(set(range(len(batch))) - by_place.keys()):
            row = self._judge_in_full(first + place, batch[place])
            if row is not None:
                by_place[place] = row
        return [by_place[place] for place in sorted(by_place)]

    def _judge_in_full(self, linha: int, raw: bytes) -> tuple[Any, ...] | None:
        """Return the row if the contract accepts it; keep it among the rejected, with the contract's words, if not."""
        try:
            row = self._contract.model_validate_json(raw, context={"today": self._today})
        except ValidationError as refusal:
            details = refusal.errors(include_url=False, include_context=False)[:_MOST_REASONS]
            fields = [_field(detail) for detail in details if detail["loc"]]
            self._reject(linha, raw, fields, [_reason(detail) for detail in details])
            return None
        except NO_ROWS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a rule of the contract's author raises
            self._reject(linha, raw, [], [storable_text(f"A rule failed: {error!r}".encode())])
            return None
        return self._lote, str(linha), *(as_text(value) for _, value in row)

    def _reject(self, linha: int, raw: bytes, fields: list[str], reasons: list[str]) -> None:
        self.rejected.append(
            RejectedRow(linha, fields, reasons, storable_text(raw), hashlib.sha256(raw).hexdigest())
        )
        if len(self.rejected) / self._received >= self._max_rejected_ratio:  # 0.07 * 100 is more than 7
            raise TooManyRejectsError(self._too_many(linha))

    def _too_many(self, linha: int) -> str:
        commonest = most_common_reasons((row.reasons for row in self.rejected), _REASONS_TOLD)
        told = "; ".join(f"{in_brief(reason)}: {rows} rows" for reason, rows in commonest)
        return (
            f"{self._lote}: {len(self.rejected)} of {self._received} rows broke the contract by line {linha}, "
            f"which reaches max_rejected_ratio ({self._max_rejected_ratio:.1%}). Nothing of this lot was stored; what "
            f"was loaded before stays. Most often: {told}. Mend the source or the contract, or raise "
            "PURCHASE_MAX_REJECTED_RATIO."
        )


def _field(detail: ErrorDetails) -> str:
    return storable_text(".".join(map(str, detail["loc"])).encode())


def _reason(detail: ErrorDetails) -> str:
    """Say what is wrong in a sentence: `price: Input should be greater than 0 (saw -5.0)`."""
    if not detail["loc"]:
        return detail["msg"]
    sight = "" if detail["type"] == "missing" else f" (saw {detail['input']!r})"
    if len(sight) > _LONGEST_SIGHT:
        sight = f"{sight[:_LONGEST_SIGHT]}...)"
    return f"{_field(detail)}: {detail['msg']}{sight}"


def storable_text(raw: bytes) -> str:
    r"""Return at most 4,000 characters that PostgreSQL can hold: bytes that are no UTF-8, and NUL, show as `\xNN`."""
    text = raw[: 4 * (_LONGEST_ORIGINAL + 1)].decode("utf-8", "backslashreplace").replace("\x00", r"\x00")
    if len(text) > _LONGEST_ORIGINAL:
        return f"{text[:_LONGEST_ORIGINAL]}... ({len(raw)} bytes in all)"
    return text
