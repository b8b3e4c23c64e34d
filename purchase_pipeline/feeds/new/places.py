"""Where the files of a new feed go."""

import os
import tomllib
from pathlib import Path
from typing import NamedTuple

from purchase_pipeline import PipelineError


class FileExistsAlreadyError(PipelineError):
    """A file of the new feed exists."""


class Places(NamedTuple):
    """The feed's own file and its module, the folder of its test, and the command that loads it, if there is one."""

    declaration: Path
    module: str
    tests: Path
    load: str

    @property
    def is_yaml(self) -> bool:
        """Whether the feed is declared in YAML."""
        return self.declaration.suffix == ".yaml"


def places_for(name: str, folder: Path | None, *, as_yaml: bool) -> Places:
    """Return where the files of a feed go: in a folder, or in the `dg` project around the current one.

    Raises:
        FileExistsAlreadyError: the declaration or the test exists.
    """
    project = None if folder else _dg_project(Path.cwd())
    if project:
        defs, package = project
        root = Path(*defs.parts[: -len(package.split("."))])
        tests = (root.parent if root.name == "src" else root) / "tests"
        file = defs / name / ("defs.yaml" if as_yaml else "pipeline.py")
        load = f"purchase-pipeline -m {package.rpartition('.')[0]}.definitions --feed {name} ingest"
        places = Places(file, f"{package}.{name}.pipeline", tests, load)
    else:
        file = (folder or Path()) / (Path(name, "defs.yaml") if as_yaml else f"{name}.py")
        go = f"cd {folder} && " if folder else ""
        places = Places(file, name, file.parent, "" if as_yaml else f"{go}purchase-pipeline -m {name} ingest")
    require_new(places.declaration, places.tests / f"test_{name}.py")
    return places


def require_new(*paths: Path) -> None:
    """Refuse to overwrite a file.

    Raises:
        FileExistsAlreadyError: one exists.
    """
    for path in paths:
        if path.exists():
            raise FileExistsAlreadyError(
                f"{os.path.relpath(path)} exists.", hint="Choose another name, or remove the file."
            )


def _dg_project(folder: Path) -> tuple[Path, str] | None:
    """Return the folder and the package of the definitions that `dg` finds by itself, if there is one."""
    for root in (folder, *folder.parents):
        if (file := root / "pyproject.toml").is_file():
            tools = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
            project = tools.get("dg", {}).get("project", {})
            package = project.get("defs_module") or f"{project.get('root_module')}.defs"
            folders = (root / top / Path(*package.split(".")) for top in ("src", ""))
            return next(((defs, package) for defs in folders if defs.is_dir()), None)
    return None
