"""The runs of one database compile each statement once, which is a tenth of a short run's cost.

SQLAlchemy keeps compiled statements by an engine's dialect. Each run has an engine of its own; outside of tests, most
processes have one run.
"""

from functools import partial

import sqlalchemy as sa

from purchase_pipeline.postgres import io_manager
from purchase_pipeline.postgres.connections import engine_for

_used = dict[str, sa.Engine]()
_KEPT = 8
"""Databases that are in use at the same time; the others are of tests that have ended."""


def share_between_runs() -> None:
    """Change the IO manager in this process."""
    io_manager.engine_for = _engine  # type: ignore[attr-defined]


def _engine(database_url: str, *, keeps_connection: bool = False) -> sa.Engine:
    engine = engine_for(database_url, keeps_connection=keeps_connection)
    if used := _used.get(database_url):
        engine.dialect = engine.pool._dialect = used.dialect  # noqa: SLF001
        engine._compiled_cache = used._compiled_cache  # noqa: SLF001
    else:
        # Its first connection, which is over then, tells the dialect what the server is.
        sa.event.listen(engine, "engine_disposed", partial(_keep, database_url))
    return engine


def _keep(database_url: str, engine: sa.Engine) -> None:
    if engine.dialect.server_version_info:
        _used.setdefault(database_url, engine)
        while len(_used) > _KEPT:
            del _used[next(iter(_used))]
