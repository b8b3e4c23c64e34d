"""Advisory locks: writers take turns, and the end of a transaction always releases them."""

import hashlib
from typing import NamedTuple

import sqlalchemy as sa


class Lock(NamedTuple):
    """A lock on a name of several parts. Shared locks conflict only with exclusive ones."""

    names: tuple[str | None, ...]
    shared: bool = False


def lock_slice(connection: sa.Connection, schema: str, table: str, key: str | None) -> None:
    """Lock a slice until the transaction ends, waiting for its other writers.

    The writer of one partition shares the table with writers of other partitions. Without a key (for a range, a whole
    table, or a schema change) the writer locks the table. Locks are taken from table to slice, which rules out
    deadlocks.
    """
    locks = [Lock(("table", schema, table), shared=key is not None)]
    if key is not None:
        locks.append(Lock(("slice", schema, table, key)))
    lock_until_commit(connection, *locks)


def lock_until_commit(connection: sa.Connection, *locks: Lock) -> None:
    """Acquire the locks in order, and hold them until the transaction ends.

    PostgreSQL's lock keys are 64-bit numbers. Two names that hash to the same key (1 in 2^64) only wait for each other.
    """
    connection.execute(sa.select(*map(_acquire, locks)))


def _acquire(lock: Lock) -> sa.ColumnElement[None]:
    take = sa.func.pg_advisory_xact_lock_shared if lock.shared else sa.func.pg_advisory_xact_lock
    return take(_key(lock))


def _key(lock: Lock) -> int:
    name = "\x1f".join(name or "" for name in lock.names)
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
