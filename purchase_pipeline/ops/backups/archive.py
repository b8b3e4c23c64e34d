"""The file of a backup: a ZIP of two dumps, the landed files and a manifest.

Its members are compressed already and stored as they are; ZIP has a checksum for each, and its directory at the end, so
a file that was cut short is not one. Without this program: `unzip`, then `pg_restore`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import Literal
from zipfile import BadZipFile, ZipFile

from pydantic import AwareDatetime, BaseModel, ValidationError

from purchase_pipeline import PipelineError

DATA_DUMP = "data.dump"
DAGSTER_DUMP = "dagster.dump"
SETTINGS = "settings.env"
LANDING = "landing/"
_MANIFEST = "manifest.json"


class BackupFileError(PipelineError):
    """The file is not a backup, is damaged, or was written by a newer version."""


class SavedTable(BaseModel, frozen=True):
    """A table of the data. A ledger has the OIDs of tables, which are others once they are restored."""

    schema_name: str
    name: str
    oid: int
    has_oids: bool
    rows: int


class Backup(BaseModel, frozen=True):
    """What a backup has.

    Attributes:
        version: of this package.
        postgres: major version of the server.
        embedded: that server was the embedded one, so its roles exist in any other.
        roles: roles that may own its tables, or have privileges on them.
        landing: where the landed files were; those of a bucket are not in the file.
    """

    format: Literal[1] = 1
    version: str
    postgres: int
    embedded: bool
    roles: tuple[str, ...]
    created_at: AwareDatetime
    tables: tuple[SavedTable, ...]
    landing: str
    landed_files: int | None


@contextmanager
def written_archive(file: Path) -> Iterator[ZipFile]:
    """Open a new archive, which replaces the file once it is complete and on disk."""
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as staged:
        try:
            with ZipFile(staged, "w", strict_timestamps=False) as archive:
                yield archive
            staged.flush()
            os.fsync(staged.fileno())
            Path(staged.name).replace(file)
        finally:
            Path(staged.name).unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def add_manifest(archive: ZipFile, backup: Backup) -> None:
    """Write the manifest, as the last member."""
    archive.writestr(_MANIFEST, backup.model_dump_json(indent=2))


@contextmanager
def whole_archive(file: Path) -> Iterator[tuple[ZipFile, Backup]]:
    """Open a backup, and check all of it.

    Raises:
        BackupFileError: it is not a backup, or not whole.
    """
    with ExitStack() as opened:
        try:
            archive = opened.enter_context(ZipFile(file))
            backup = Backup.model_validate_json(archive.read(_MANIFEST))
            _require_whole(file, archive, backup)
        except (BadZipFile, KeyError, ValidationError, EOFError) as error:
            raise BackupFileError(
                f"{file} is not a complete backup of this version or an older one ({_first_line(error)}).",
                hint="Nothing was changed. Choose another backup.",
            ) from error
        yield archive, backup


def landed_members(archive: ZipFile) -> list[str]:
    """Return the members that are landed files."""
    return [name for name in archive.namelist() if name.startswith(LANDING)]


def _require_whole(file: Path, archive: ZipFile, backup: Backup) -> None:
    if damaged := archive.testzip():
        raise BackupFileError(
            f"{file} is damaged: {damaged}.", hint="Nothing was changed. Choose another backup."
        )
    landed = landed_members(archive)
    if {DATA_DUMP, DAGSTER_DUMP} - set(archive.namelist()) or len(landed) != (backup.landed_files or 0):
        raise BackupFileError(f"{file} lacks some of its members.", hint="Nothing was changed.")
    if outside := [name for name in landed if ".." in PurePosixPath(name).parts or "\\" in name]:
        raise BackupFileError(f"{file} has a file outside of the landing: {outside[0]}.")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
