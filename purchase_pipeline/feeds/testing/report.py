"""What `check_feed` returns: what became of the sample answers."""

from dataclasses import dataclass
from typing import Any, NamedTuple


class PartitionReport(NamedTuple):
    """Row counts of a partition."""

    received: int
    loaded: int
    rejected: int


class Reject(NamedTuple):
    """A rejected row.

    Attributes:
        partition: its partition's key; None for a feed without partitions.
        row_number: its number in the partition, from 1.
        fields: the fields that failed validation; empty for the whole row.
        reasons: one sentence each, as in the quarantine.
        original: the row as received.
    """

    partition: str | None
    row_number: int
    fields: list[str]
    reasons: list[str]
    original: str


@dataclass(frozen=True)
class FeedReport:
    """What became of the answers.

    Attributes:
        partitions: the counts of each partition, by its key; None is the key of a feed without partitions.
        rows: the table's rows in order, each by column, with the columns of partition and row number.
        rejects: the rejected rows in order, with their reasons.
    """

    partitions: dict[str | None, PartitionReport]
    rows: list[dict[str, Any]]
    rejects: list[Reject]

    @property
    def received(self) -> int:
        """Rows received in all partitions."""
        return sum(one.received for one in self.partitions.values())

    @property
    def loaded(self) -> int:
        """Rows loaded in all partitions."""
        return sum(one.loaded for one in self.partitions.values())

    @property
    def rejected(self) -> int:
        """Rows rejected in all partitions."""
        return sum(one.rejected for one in self.partitions.values())
