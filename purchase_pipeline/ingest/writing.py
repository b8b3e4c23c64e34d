"""How the rows of a partition are written, and where a source is read from next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from purchase_pipeline import PipelineError
from purchase_pipeline.postgres.schema.models import columns_from_model


class WriteError(PipelineError):
    """A feed's way of writing does not fit its contract."""


@dataclass(frozen=True)
class Write:
    """How the rows of a partition are written to the table of accepted rows. Rejected rows are always replaced.

    Attributes:
        mode: `replace` the partition's rows; `upsert`: update rows with the same keys, insert others; `insert`: skip
            rows whose keys exist, as for events.
        keys: fields that identify a row, for an upsert or insert. A key is not null.
        newest: for an upsert, the field that says which of two versions of a row is newer: an older partition that is
            loaded again never overwrites newer rows. By default the time window, or the moment of the request of a
            feed without partitions; of other partitions, the last one loaded wins.
        schema_drift: what to do when the table's columns differ from the contract's: `freeze`: refuse; `evolve`: follow
            without loss.
    """

    mode: Literal["replace", "upsert", "insert"] = "replace"
    keys: Sequence[str] = ()
    newest: str | None = None
    schema_drift: Literal["freeze", "evolve"] = "freeze"

    @property
    def merges(self) -> bool:
        """Whether rows are matched by their keys."""
        return self.mode != "replace"

    def require_fields(self, contract: type[BaseModel]) -> None:
        """Check keys and fields against the contract.

        Raises:
            WriteError: unknown mode or field, a key that may be null, or keys that do not go with the mode.
        """
        columns = {column.name: column for column in columns_from_model(contract)}
        if self.mode not in ("replace", "upsert", "insert"):
            raise WriteError(f"write: mode {self.mode!r}; expected replace, upsert or insert.")
        if isinstance(self.keys, str) or self.merges != bool(self.keys):
            raise WriteError(
                f"write: mode {self.mode!r} with keys {self.keys!r}.",
                hint="An upsert or insert needs a list of keys; replace has none.",
            )
        if self.newest is not None and (self.mode != "upsert" or self.newest in self.keys):
            raise WriteError(
                f"write: newest is {self.newest!r}.",
                hint="It goes with mode 'upsert', and is not one of the keys.",
            )
        named = [*self.keys, *([] if self.newest is None else [self.newest])]
        if unknown := [name for name in named if name not in columns]:
            raise WriteError(
                f"write: {unknown[0]!r} is not a field of {contract.__name__}.",
                hint=f"Fields: {', '.join(columns)}.",
            )
        if nullable := [name for name in self.keys if columns[name].nullable]:
            raise WriteError(
                f"write: key {nullable[0]!r} of {contract.__name__} may be null.",
                hint="Make it required, so that a row without it is rejected.",
            )


REPLACE = Write()


@dataclass(frozen=True)
class Since:
    """Where an incremental feed continues: `{since}` in its requests is the greatest value committed, less an overlap.

    The value is kept in the ledger, in the transaction of the rows. It starts again if the table is emptied.

    Attributes:
        field: field whose values only grow at the source, such as `updated_at`.
        overlap: subtracted from the value, as rows may become visible late: seconds of a moment, days of a date, or a
            number.
        first: `{since}` of the first request of all; None leaves out the parameters that name it.
    """

    field: str
    overlap: float = 0
    first: Any = None

    def after(self, committed: Any) -> Any:  # noqa: ANN401
        """Return the value to continue from, given the greatest one committed; None if there is none.

        Raises:
            WriteError: the overlap cannot be subtracted from the value.
        """
        if committed is None:
            return self.first
        if not self.overlap:
            return committed
        try:
            if isinstance(committed, datetime):
                return committed - timedelta(seconds=self.overlap)
            if isinstance(committed, date):
                return committed - timedelta(days=self.overlap)
            return committed - type(committed)(self.overlap)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise WriteError(
                f"since: an overlap of {self.overlap} cannot be subtracted from {self.field} {committed!r}.",
                hint="An overlap is for times, dates and numbers.",
            ) from error
