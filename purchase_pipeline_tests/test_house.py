"""The house as drawn: who imports whom, what one word means everywhere, what a lock must hold."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from graphlib import TopologicalSorter
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from purchase_pipeline.definitions import defs
from purchase_pipeline_tests.documents import blocks_of

pytestmark = pytest.mark.source  # this project's files, whatever the Python

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "purchase_pipeline"
MAY_LOAD = {
    "contracts": set[str](),
    "settings": set(),
    "postgres": set(),
    "stack": {"postgres", "settings"},
    "ingest": {"contracts", "postgres", "settings"},
    "launchers": {"postgres", "settings", "stack"},
    "feeds": {"contracts", "ingest", "postgres", "settings", "stack"},
    "purchases": {"contracts", "feeds", "ingest", "postgres", "settings", "stack"},
    "sales": {"contracts", "feeds", "ingest", "postgres", "purchases", "settings", "stack"},
    "definitions": {
        "contracts",
        "feeds",
        "ingest",
        "postgres",
        "purchases",
        "sales",
        "settings",
        "stack",
    },
    "ops": {
        "contracts",
        "definitions",
        "feeds",
        "ingest",
        "postgres",
        "purchases",
        "sales",
        "settings",
        "stack",
    },
    "cli": {
        "contracts",
        "definitions",
        "feeds",
        "ingest",
        "ops",
        "postgres",
        "purchases",
        "sales",
        "settings",
        "stack",
    },
}
"""The rooms, from the ground up, and what each may load besides itself."""


def imports_of(module: Path) -> set[str]:
    found = set[str]()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def modules_of(room: str) -> list[str]:
    """The modules of a room, as Python names them."""
    paths = [*PACKAGE.glob(f"{room}.py"), *PACKAGE.glob(f"{room}/**/*.py")]
    names = [".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in paths]
    # A Celery worker's program: it reads Dagster's configuration when it is imported.
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith(".celery_app"))


def loaded_by(modules: Iterable[str]) -> set[str]:
    """What a fresh process has loaded after it has imported these modules."""
    program = (
        f"import gc, sys\ngc.disable()\nfor name in {list(modules)}: __import__(name)\n"
        "print(*sys.modules, sep='\\n')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


# Forks of a process with the libraries, which take most of the time: each room is the first of ours in its own.
_LOADED_BY_ROOMS = """
import gc, json, os, sys
gc.disable()
import dagster, httpx, psycopg, pydantic_settings, rich.console, sqlalchemy
rooms = json.load(sys.stdin)
assert not any(name.startswith("purchase_pipeline") for name in sys.modules)
for room, modules in rooms.items():
    if (child := os.fork()) == 0:
        for name in modules:
            __import__(name)
        print(json.dumps([room, *sys.modules]), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, room
"""


@pytest.fixture(scope="module")
def loaded_by_rooms() -> dict[str, set[str]]:
    """What of this project a process has loaded that has imported a room."""
    asked = json.dumps({room: modules_of(room) for room in MAY_LOAD})
    program = [sys.executable, "-c", _LOADED_BY_ROOMS]
    ran = subprocess.run(program, input=asked, stdout=subprocess.PIPE, text=True, check=True)
    found = {room: loaded for room, *loaded in map(json.loads, ran.stdout.splitlines())}
    return {room: {name for name in found[room] if name.startswith("purchase_pipeline.")} for room in found}


def rooms() -> set[str]:
    """The modules and packages of the top floor; a folder without code, as an older checkout leaves it, is none."""
    return {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))} - {
        "__init__"
    }


def test_the_top_floor_has_at_most_twelve_rooms() -> None:
    assert rooms() == MAY_LOAD.keys()
    assert len(MAY_LOAD) <= 12


@pytest.mark.parametrize("room", MAY_LOAD)
def test_a_room_loads_only_rooms_below_it(room: str, loaded_by_rooms: dict[str, set[str]]) -> None:
    loaded = {name.split(".")[1] for name in loaded_by_rooms[room]}

    assert loaded - {room} <= MAY_LOAD[room]


def rooms_below(room: str) -> set[str]:
    """The rooms that a room may load, and those that these may load."""
    return MAY_LOAD[room].union(*(rooms_below(below) for below in MAY_LOAD[room]))


def test_the_page_of_the_architecture_draws_these_rooms() -> None:
    (drawn,) = (
        block.text
        for block in blocks_of(PROJECT / "docs" / "architecture.md")
        if block.language == "mermaid" and "cli -->" in block.text
    )
    arrows = {pair for line in drawn.splitlines() for pair in pairwise(line.strip().split(" --> "))}

    assert arrows == {
        (room, below)
        for room, loads in MAY_LOAD.items()
        for below in loads
        if not any(below in rooms_below(between) for between in loads)  # drawn by way of another
    }


def test_no_two_rooms_load_each_other() -> None:
    assert not [
        (room, other) for room, below in MAY_LOAD.items() for other in below if room in MAY_LOAD[other]
    ]


def test_the_core_does_not_load_dagster() -> None:
    core = [name for room in ("contracts", "ingest", "settings") for name in modules_of(room)]

    assert "dagster" not in loaded_by(core)


def test_names_that_dagster_keeps_to_itself_are_imported_in_one_place() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.glob("**/*.py")
        if any(name.startswith(("dagster._", "dagster_shared")) for name in imports_of(path))
    }

    assert importers == {"postgres/dagster_internals.py", "stack/dagster_internals.py"}


def test_the_mock_api_and_the_pipeline_do_not_know_each_other() -> None:
    assert all("purchase_pipeline" not in roots(imports_of(path)) for path in PROJECT.glob("mock_api/*.py"))
    assert all(
        "mock_api" not in roots(imports_of(path)) for path in PROJECT.glob("purchase_pipeline/**/*.py")
    )


def test_only_the_tests_of_the_lab_know_it() -> None:
    ours = ("benchmarks", "examples", "mock_api", "purchase_pipeline", "purchase_pipeline_tests")
    importers = {
        path.name
        for package in ours
        for path in PROJECT.glob(f"{package}/**/*.py")
        if "resilience" in roots(imports_of(path))
    }

    assert importers == {"test_drills.py", "test_drills_on_the_wire.py", "test_hosts.py"}


def test_the_postgres_library_knows_nothing_of_purchases() -> None:
    ours = {
        name
        for path in PROJECT.glob("purchase_pipeline/postgres/**/*.py")
        for name in imports_of(path)
        if name.startswith("purchase_pipeline")
    }

    # The package itself has the base of the errors; what else of it is loaded, another test sees.
    assert all(name.startswith("purchase_pipeline.postgres") for name in ours - {"purchase_pipeline"})


def test_no_two_parts_of_the_postgres_library_import_each_other() -> None:
    parts: dict[str, set[str]] = {}
    for path in PACKAGE.glob("postgres/**/*.py"):
        part = path.relative_to(PACKAGE / "postgres").parts[0].removesuffix(".py")
        imported = {
            name.split(".")[2] for name in imports_of(path) if name.startswith("purchase_pipeline.postgres.")
        }
        parts.setdefault(part, set()).update(imported - {part})

    TopologicalSorter(parts).prepare()  # raises CycleError, which names them


def test_only_the_contract_names_its_columns_and_the_queries_that_sum_them() -> None:
    writers = {
        str(path.relative_to(PROJECT / "purchase_pipeline"))
        for path in PROJECT.glob("purchase_pipeline/**/*.py")
        if re.search(r"client_lastname|birthday_client|date_purchase", path.read_text())
    }

    assert writers == {"contracts/purchase.py", "sales/queries.py"}


def test_a_run_pays_for_no_import_that_it_does_not_use() -> None:
    heavy = "{'babel', 'pandas', 'faker', 'fastapi', 'numpy', 'polars', 'pyarrow', 'jinja2'}"
    program = f"import sys, purchase_pipeline.definitions; print(sorted({heavy} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "[]"


def test_a_command_that_needs_no_dagster_does_not_wait_for_it() -> None:
    program = "import sys, purchase_pipeline.cli.main; print('dagster' in sys.modules)"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "False"


def test_the_postgres_library_imports_no_library_of_frames() -> None:
    program = (
        "import sys, purchase_pipeline.postgres; "
        "print(sorted({'pandas', 'polars', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "[]"


def test_definitions_have_the_names_that_others_rely_on() -> None:
    repository = defs().get_repository_def()

    ingest = repository.asset_graph.get_all_asset_keys() - dg.AssetSelection.groups("sales").resolve(
        repository.asset_graph
    )
    assert {key.to_user_string() for key in ingest} == {
        "purchase_api",
        "raw_purchases",
        "tabela_compras",
        "compras_rejeitadas",
    }
    assert repository.has_job("ingest_lote")
    assert repository.has_sensor_def("missing_lots")
    partitions = defs().resolve_job_def("ingest_lote").partitions_def
    assert partitions is not None
    assert list(partitions.get_partition_keys()) == ["lote-0001", "lote-0002", "lote-0003"]


def lock(name: str) -> dict[str, str]:
    text = (PROJECT / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)
    return {entry.partition("==")[0]: entry for entry in entries if "==" in entry.partition("\n")[0]}


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("requirements.lock", ["app", "build"]),
        ("requirements-scale.lock", ["app", "build", "s3", "scale"]),
        ("requirements-dev.lock", ["app", "build", "dev", "docs"]),
        ("requirements-bench.lock", ["app", "build", "dev", "docs", "bench"]),
    ],
)
def test_the_lock_agrees_with_the_project(name: str, groups: list[str]) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    known = project["dependency-groups"] | project["project"]["optional-dependencies"]
    wanted = project["project"]["dependencies"] + [
        requirement for group in groups for requirement in known[group]
    ]
    locked = lock(name)

    for requirement in map(Requirement, wanted):
        entry = locked[canonicalize_name(requirement.name)]
        pinned = re.findall(r"==([^\s;\\]+)", entry.partition("\n")[0])
        assert all(requirement.specifier.contains(one) for one in pinned), (requirement, pinned)


@pytest.mark.parametrize("name", sorted(path.name for path in PROJECT.glob("requirements*.lock")))
def test_every_pin_has_its_hashes_and_no_host_is_named(name: str) -> None:
    text = (PROJECT / name).read_text()

    assert all("--hash=sha256:" in entry for entry in lock(name).values())
    assert not re.search(r"https?://|--index-url|--find-links|file:", text)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("requirements.lock", "requirements-scale.lock"),
        ("requirements-scale.lock", "requirements-dev.lock"),
        ("requirements-dev.lock", "requirements-bench.lock"),
    ],
)
def test_what_two_locks_share_has_one_version(smaller: str, larger: str) -> None:
    fewer, more = lock(smaller), lock(larger)

    def version_of(entry: str) -> str:
        """Return the pin alone: what else needs a package also decides on which platforms it is installed."""
        return re.split(r" [;\\]", entry, maxsplit=1)[0]

    assert {name: version_of(entry) for name, entry in fewer.items()} == {
        name: version_of(more[name]) for name in fewer
    }


def test_what_is_installed_is_what_is_locked() -> None:
    for name in ("dagster", "psycopg", "pydantic", "sqlalchemy", "fastapi"):
        assert f"{name}=={version(name)} " in lock("requirements.lock")[name]
