"""The house as drawn: who imports whom, what one word means everywhere, what a lock must hold."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from purchase_pipeline.definitions import defs

PROJECT = Path(__file__).parent.parent
CORE = [
    "contracts",
    "sieve",
    "validation",
    "purchase_api",
    "lot_content",
    "content_coding",
    "content_digest",
    "api_client",
    "landing",
    "landing_manifest",
    "printable",
    "raw_rows",
    "settings",
    "tables",
]


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


@pytest.mark.parametrize("name", CORE)
def test_the_core_does_not_know_dagster(name: str) -> None:
    assert "dagster" not in roots(imports_of(PROJECT / f"purchase_pipeline/{name}.py"))


def test_the_mock_api_and_the_pipeline_do_not_know_each_other() -> None:
    assert all("purchase_pipeline" not in roots(imports_of(path)) for path in PROJECT.glob("mock_api/*.py"))
    assert all(
        "mock_api" not in roots(imports_of(path)) for path in PROJECT.glob("purchase_pipeline/**/*.py")
    )


def test_the_postgres_library_knows_nothing_of_purchases() -> None:
    ours = {
        name
        for path in PROJECT.glob("purchase_pipeline/postgres/**/*.py")
        for name in imports_of(path)
        if name.startswith("purchase_pipeline")
    }

    assert all(name.startswith("purchase_pipeline.postgres") for name in ours)


def test_the_contract_stands_on_nothing_of_ours() -> None:
    assert "purchase_pipeline" not in roots(imports_of(PROJECT / "purchase_pipeline/contracts.py"))


def test_only_the_contract_names_its_columns_and_the_queries_that_sum_them() -> None:
    writers = {
        str(path.relative_to(PROJECT / "purchase_pipeline"))
        for path in PROJECT.glob("purchase_pipeline/**/*.py")
        if re.search(r"client_lastname|birthday_client|date_purchase", path.read_text())
    }

    assert writers == {"contracts.py", "sales/queries.py"}


def test_a_run_pays_for_no_import_that_it_does_not_use() -> None:
    heavy = "{'pandas', 'faker', 'fastapi', 'numpy', 'polars', 'pyarrow', 'jinja2', 'vl_convert'}"
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
        ("requirements.lock", ["build"]),
        ("requirements-scale.lock", ["build", "s3", "scale"]),
        ("requirements-dev.lock", ["build", "dev"]),
        ("requirements-bench.lock", ["build", "dev", "bench"]),
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

    assert {name: entry.partition(" \\")[0] for name, entry in fewer.items()} == {
        name: more[name].partition(" \\")[0] for name in fewer
    }


def test_what_is_installed_is_what_is_locked() -> None:
    for name in ("dagster", "psycopg", "pydantic", "sqlalchemy", "fastapi"):
        assert f"{name}=={version(name)} " in lock("requirements.lock")[name]
