"""A disk that is full: the lot's tables lie on a small file system, which a ballast file fills up."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from psycopg import sql

from purchase_pipeline.stack.embedded_postgres.files import ServerFiles
from resilience.drills.lot_bench import ROLE, LotBench
from resilience.drills.outcome import Outcome
from resilience.drills.trials import Fault, HasStruck, outcome_of_struck, try_once
from resilience.drills.wire_drills import a_lot_on_the_wire

_MEGABYTES = 32
_SEED = 4


def run_on_a_full_disk(times: int, folder: Path) -> Outcome:
    """Do the drill. Only root can: it mounts a file system."""
    random = Random(_SEED)  # noqa: S311  (where the disk is full, and no secret)
    with a_lot_on_the_wire(folder) as (bench, _, _):
        place = ServerFiles(folder / "postgres")
        with _small_file_system(place) as room:
            tables = room / "tables"
            tables.mkdir(mode=0o700)
            os.chown(tables, place.account.uid, place.account.gid)
            _move_tables(bench, tables)
            return outcome_of_struck(times, lambda: try_once(bench, _full_disk(room, random)))


@contextmanager
def _small_file_system(place: ServerFiles) -> Iterator[Path]:
    """Mount one next to the server's data, in a folder that the server may enter."""
    room = place.folder / "room"
    room.mkdir()
    account = place.account
    options = f"size={_MEGABYTES}m,mode=0700,uid={account.uid},gid={account.gid}"
    subprocess.run(["/usr/bin/env", "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(room)], check=True)
    try:
        yield room
    finally:
        # The server still has files open there; it is stopped next.
        subprocess.run(["/usr/bin/env", "umount", "--lazy", str(room)], check=True)


def _move_tables(bench: LotBench, folder: Path) -> None:
    with bench.database.as_superuser() as connection:
        connection.execute(sql.SQL("CREATE TABLESPACE room LOCATION {}").format(sql.Literal(str(folder))))
        connection.execute(sql.SQL("GRANT CREATE ON TABLESPACE room TO {}").format(sql.Identifier(ROLE)))
        connection.execute("ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE room")
        connection.execute("ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE room")


def _full_disk(room: Path, random: Random) -> Fault:
    """Leave room for a part of the lot, from nothing to most of it."""

    @contextmanager
    def fault(bench: LotBench) -> Iterator[HasStruck]:
        spare = int(random.uniform(0, 0.8) * _compact_bytes(bench))
        ballast = room / "ballast"
        with ballast.open("wb") as file:
            free = os.statvfs(room).f_bavail * os.statvfs(room).f_frsize
            os.posix_fallocate(file.fileno(), 0, max(1, free - spare))
        yield lambda: "No space left on device" in bench.failure
        ballast.unlink()

    return fault


def _compact_bytes(bench: LotBench) -> int:
    """Rid the tables of dead rows, whose room the next load would use, and return their size."""
    with bench.database.as_superuser() as connection:
        connection.execute("VACUUM FULL")
        row = connection.execute(
            "SELECT pg_total_relation_size('tabela_compras') + pg_total_relation_size('compras_rejeitadas')"
        ).fetchone()
        return int(row[0]) if row else 0
