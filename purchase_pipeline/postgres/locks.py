"""Advisory locks: writers of the same thing take turns, and a transaction's end always sets it free."""

import hashlib

import sqlalchemy as sa


def hold_slice(connection: sa.Connection, schema: str, table: str, key: str | None) -> None:
    """Wait until no other writer is at work on the slice, and keep them waiting until the transaction ends.

    A partition's writer shares the table with the writers of other partitions. Without a key, for a range, a whole
    table, or a change of its columns, the writer has the table alone. Locks are taken from the table to the slice, so
    that no two writers wait for each other.
    """
    hold_until_commit(connection, "table", schema, table, shared=key is not None)
    if key is not None:
        hold_until_commit(connection, "slice", schema, table, key)


def hold_until_commit(connection: sa.Connection, *names: str | None, shared: bool = False) -> None:
    """Wait for the lock that these names share, and hold it until the transaction ends.

    PostgreSQL's lock keys are 64-bit numbers: two names meet in one key once in 2^64, and then they only wait for
    each other.
    """
    name = "\x1f".join(name or "" for name in names)
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
    lock = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
    connection.execute(sa.select(lock(key)))
