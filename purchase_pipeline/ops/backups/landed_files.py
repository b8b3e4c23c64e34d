"""The landed files of a home: copied while no batch can land, and replaced all at once."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import time
from zipfile import ZipFile

from purchase_pipeline.ingest.landing.local import LocalBackend
from purchase_pipeline.ingest.landing.manifest import LandedPartition, landed_by
from purchase_pipeline.ops.backups.archive import LANDING, landed_members

_STAGED = ".restoring"
_REPLACED = ".replaced"
_MANIFEST = "*.json"
_LONGEST_LOAD_SECONDS = 15 * 60.0


class LandedFiles:
    """The landing folder with those of its feeds. Staged and temporary files have names with a dot."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everything from landing, in any feed's folder."""
        with ExitStack() as locks:
            if self._root.exists():
                for folder in (self._root, *(path for path in self._files("*") if path.is_dir())):
                    locks.enter_context(LocalBackend(folder).shared_lock())
            yield

    def exist(self) -> bool:
        """Return whether anything has landed."""
        return any(path.is_file() for path in self._files("*"))

    def save(self, archive: ZipFile) -> int:
        """Copy all files to an archive, and return their number; one that is deleted meanwhile is left out."""
        saved = 0
        for path in sorted(self._files("*")):
            if path.is_file():
                with suppress(FileNotFoundError):
                    archive.write(path, LANDING + path.relative_to(self._root).as_posix())
                    saved += 1
        return saved

    def recent(self) -> Iterator[tuple[str, LandedPartition]]:
        """Yield what landed so recently that it may be being loaded, each with its folder: '' or a feed's."""
        oldest = time() - _LONGEST_LOAD_SECONDS
        for path in self._files(_MANIFEST):
            with suppress(FileNotFoundError, ValueError):
                if path.stat().st_mtime >= oldest:
                    text = path.read_bytes()
                    named = json.loads(text)
                    landed = landed_by(text, str(named.get("partition", named.get("lote"))))
                    if landed is not None and not landed.refused:
                        yield path.relative_to(self._root).parent.as_posix().lstrip("."), landed

    @contextmanager
    def replaced_by(self, archive: ZipFile) -> Iterator["StagedFiles"]:
        """Extract an archive's files next to those there, to replace them; otherwise they are removed again."""
        staged = StagedFiles(self._root)
        try:
            staged.extract(archive)
            yield staged
        finally:
            staged.remove()

    def _files(self, pattern: str) -> Iterator[Path]:
        for path in self._root.rglob(pattern):
            if not any(part.startswith(".") for part in path.relative_to(self._root).parts):
                yield path


class StagedFiles:
    """Landed files of a backup, in a hidden folder of the landing: it may be a mount point, and cannot be renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staged, self._replaced = root / _STAGED, root / _REPLACED
        self._placed = list[Path]()

    def extract(self, archive: ZipFile) -> None:
        """Extract the files, and sync them to disk."""
        self.remove()
        self._staged.mkdir(parents=True)
        for name in landed_members(archive):
            path = self._staged / name.removeprefix(LANDING)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        os.sync()

    def publish(self) -> None:
        """Put the files in place of those there, which are kept until `remove`."""
        self._replaced.mkdir()
        for path in self._visible(self._root):
            path.rename(self._replaced / path.name)
        for path in self._visible(self._staged):
            self._placed.append(path.rename(self._root / path.name))

    def withdraw(self) -> None:
        """Undo `publish`, also one that failed halfway."""
        for path in self._placed:
            path.rename(self._staged / path.name)
        if self._replaced.exists():
            for path in self._visible(self._replaced):
                path.rename(self._root / path.name)

    def remove(self) -> None:
        """Delete what is hidden."""
        for folder in (self._staged, self._replaced):
            shutil.rmtree(folder, ignore_errors=True)

    def _visible(self, folder: Path) -> list[Path]:
        return [path for path in folder.iterdir() if path not in {self._staged, self._replaced}]
