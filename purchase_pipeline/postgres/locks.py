"""Advisory locks: writers of the same thing take turns, and a transaction's end always sets it free."""

import hashlib
from typing import NamedTuple

import sqlalchemy as sa


class Lock(NamedTuple):
    """What is held: whatever these names share. Holders of a shared lock keep out those alone that share it not."""

    names: tuple[str | None, ...]
    shared: bool = False


def lock_slice(connection: sa.Connection, schema: str, table: str, key: str | None) -> None:
    """Wait until no other writer is at work on the slice, and keep them waiting until the transaction ends.

    A partition's writer shares the table with the writers of other partitions. Without a key, for a range, a whole
    table, or a change of its columns, the writer has the table alone. Locks are taken from the table to the slice, so
    that no two writers wait for each other.
    """
    locks = [Lock(("table", schema, table), shared=key is not None)]
    if key is not None:
        locks.append(Lock(("slice", schema, table, key)))
    lock_until_commit(connection, *locks)


def lock_until_commit(connection: sa.Connection, *locks: Lock) -> None:
    """Wait for the locks, one after the other, and hold them until the transaction ends.

    PostgreSQL's lock keys are 64-bit numbers: two names meet in one key once in 2^64, and then they only wait for
    each other.
    """
    connection.execute(sa.select(*map(_acquire, locks)))


def _acquire(lock: Lock) -> sa.ColumnElement[None]:
    take = sa.func.pg_advisory_xact_lock_shared if lock.shared else sa.func.pg_advisory_xact_lock
    return take(_key(lock))


def _key(lock: Lock) -> int:
    name = "\x1f".join(name or "" for name in lock.names)
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
