"""Database URLs in any spelling, parsed without exposing the password."""

import re
from urllib.parse import unquote

import psycopg
import sqlalchemy as sa

from purchase_pipeline.postgres.errors import UnusableUrlError

_EXPECTED = (
    "Expected postgresql://user:password@host:port/database, "
    "with @ : / ? # % in the password as %40 %3A %2F %3F %23 %25"
)


def parsed_url(text: str) -> tuple[sa.URL, dict[str, str]]:
    """Return the URL without secrets in its query, and those secrets as connection arguments.

    Several hosts, `host1:1,host2:2`, move to the query, the only place where SQLAlchemy accepts them.

    Raises:
        UnusableUrlError: not a PostgreSQL URL. The message shows no part of it: any may belong to a password.
    """
    url = None if _has_stray_at(text) else _read(text)
    if url is None:
        raise UnusableUrlError(f"Invalid database URL. {_EXPECTED}.")
    options = {
        option.keyword.decode(): option.dispchar == b"*" for option in psycopg.pq.Conninfo.get_defaults()
    }
    if unknown := sorted(url.query.keys() - options.keys()):
        names = ", ".join(map(repr, unknown)) if all(map(str.isidentifier, unknown)) else "some names"
        raise UnusableUrlError(
            f"The database URL has {names} after the ?, which libpq does not support. {_EXPECTED}."
        )
    secret = {key: value for key, value in url.query.items() if options[key]}
    last = {key: value if isinstance(value, str) else value[-1] for key, value in secret.items()}
    return url.difference_update_query(secret).set(drivername="postgresql+psycopg"), last


def _has_stray_at(text: str) -> bool:
    """Return whether an `@` may belong to the password, so that part of it would be read as the host.

    For example `ana:a@b@host/db`, or `host:5432/db?password=a@b`.
    """
    before, at, after = text.partition("://")[2].partition("@")
    return bool(at) and ("@" in after or re.search(r"[?&]\w+=", before) is not None)


def _read(text: str) -> sa.URL | None:
    parts = re.fullmatch(r"(postgres\w*(?:\+\w+)?://)([^/?#]*@)?([^/?#]*)(.*)", text, re.DOTALL)
    if parts is None:
        return None
    start, user, hosts, rest = parts.groups(default="")
    pairs = re.findall(r"(?:^|,)(\[[^]]*\]|[^:,]*)(?::(\d*))?(?=,|$)", hosts)
    several = len(pairs) > 1 and len(pairs) == hosts.count(",") + 1
    try:
        url = sa.make_url(start + user + ("" if several else hosts) + rest)
    except (sa.exc.ArgumentError, ValueError):
        return None
    if not several:
        return None if "," in hosts else url
    names, ports = zip(*pairs, strict=True)
    return url.update_query_dict(
        {"host": ",".join(unquote(name.strip("[]")) for name in names), "port": ",".join(ports)}
    )
