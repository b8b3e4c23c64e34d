"""A project as `create-dagster` makes it, in which tests run its commands."""

import os
import subprocess
import sys
from pathlib import Path

from purchase_pipeline_tests.forked_commands import forked

PYPROJECT = """\
[project]
name = "shop"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop"
registry_modules = ["shop.components.*"]
"""
DEFINITIONS = """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


class Project:
    """A project as `create-dagster project shop` makes it, with its commands; `site` has what is installed in it.

    `programs` is the folder of its environment's programs; by default, of the tests' own.
    """

    def __init__(self, folder: Path, site: Path | None = None, programs: Path | None = None) -> None:
        self.folder = folder
        self._programs = programs or Path(sys.executable).parent
        self._forks = site is programs is None  # else with another installation
        self._path = [str(folder / "src"), *([] if site is None else [str(site)])]
        files = {
            "pyproject.toml": PYPROJECT,
            "src/shop/__init__.py": "",
            "src/shop/definitions.py": DEFINITIONS,
            "src/shop/defs/__init__.py": "",
            # With it, `dg check` builds a parser of URIs in 2 s; only the tools of this project install it.
            "src/rfc3987_syntax.py": "raise ImportError\n",
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def run(self, *words: str, **environment: str) -> str:
        """Run a command of the environment in the project, and return what it prints."""
        done = self.tried(*words, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        paths = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "VIRTUAL_ENV": str(self._programs.parent),
            "PYTHONPATH": os.pathsep.join(self._path),
            "COLUMNS": "200",
        }
        program = self._programs / words[0]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PURCHASE_")}
        return subprocess.run(
            [forked(program) if self._forks else program, *words[1:]],
            cwd=self.folder,
            env={**inherited, **paths, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
