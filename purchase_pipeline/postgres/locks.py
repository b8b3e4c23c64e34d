"""Advisory locks: writers of the same thing take turns, and a transaction's end always sets it free."""

import hashlib

import sqlalchemy as sa


def hold_until_commit(connection: sa.Connection, *names: str | None) -> None:
    """Wait for the lock that these names share, and hold it until the transaction ends.

    PostgreSQL's lock keys are 64-bit numbers: two names meet in one key once in 2^64, and then they only wait for
    each other.
    """
    name = "\x1f".join(name or "" for name in names)
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
