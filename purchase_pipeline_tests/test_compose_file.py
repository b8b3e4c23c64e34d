"""docker-compose.yml: ports on loopback only, pinned images, least privileges, consistent settings."""

import json
import os
import re
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import yaml
from packaging.version import Version

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings
from purchase_pipeline.stack.database import dagster_storage_url
from purchase_pipeline.stack.embedded_postgres.server import TUNING
from purchase_pipeline.stack.roles import DAGSTER, LOADER, READER, ROLES_FILE
from purchase_pipeline.stack.storage_claim import CODE_LOCATION

pytestmark = pytest.mark.source  # this project's files, whatever the Python

PROJECT = Path(__file__).parent.parent
COMPOSE_TEXT = (PROJECT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("purchase-pipeline:"))
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")

every_service = pytest.mark.parametrize("name", sorted(SERVICES))
every_service_of_ours = pytest.mark.parametrize("name", OURS)


def by_default(value: str) -> str:
    return VARIABLE.sub(r"\2", value)


def code_locations(workspace: str) -> list[str]:
    entries = yaml.safe_load((PROJECT / workspace).read_text())["load_from"]
    return [settings["location_name"] for entry in entries for settings in entry.values()]


def after(option: str, command: list[str]) -> str:
    return command[command.index(option) + 1]


def test_the_services_are_the_ones_that_the_readme_names() -> None:
    always = {name for name, service in SERVICES.items() if "profiles" not in service}

    assert always == {"postgres", "pgadmin", "api", "code_server", "webserver", "daemon"}
    assert {name: SERVICES[name]["profiles"] for name in SERVICES.keys() - always} == {
        "broker": ["scale"],
        "worker": ["scale"],
    }


def test_three_ports_are_published_and_all_on_loopback() -> None:
    published = {name: by_default(port) for name, s in SERVICES.items() for port in s.get("ports", [])}

    assert published == {
        "webserver": "127.0.0.1:3000:3000",
        "pgadmin": "127.0.0.1:5050:5050",
        "api": "127.0.0.1:8000:8000",
    }


@every_service
def test_every_image_is_pinned(name: str) -> None:
    _, colon, tag = SERVICES[name]["image"].partition(":")

    assert colon
    assert re.match(r"\d", tag)


def test_the_project_image_has_the_project_version_and_is_built_once() -> None:
    version = PYPROJECT["project"]["version"]

    (image,) = {SERVICES[name]["image"] for name in OURS}
    assert by_default(image) == f"purchase-pipeline:{version}-local"
    assert [name for name in OURS if "build" in SERVICES[name]] == ["api"]
    assert OURS == ["api", "code_server", "daemon", "webserver", "worker"]


def test_a_profile_has_its_image_of_the_same_name() -> None:
    (build,) = {SERVICES[name]["build"]["target"] for name in OURS if "build" in SERVICES[name]}
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}

    assert build == "${COMPOSE_PROFILES:-local}"
    assert profiles | {"local"} <= set(re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE))
    assert DOCKERFILE.rstrip().endswith("\nFROM local")


def test_pgadmin_has_no_known_vulnerabilities() -> None:
    assert Version(SERVICES["pgadmin"]["image"].partition(":")[2]) >= Version("9.15")


@every_service
def test_every_service_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@every_service
def test_dependent_services_wait_until_a_service_is_healthy(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})

    assert needed.keys() <= SERVICES.keys()
    assert {how["condition"] for how in needed.values()} <= {"service_healthy"}
    left_out = {other for other, how in needed.items() if how.get("required") is False}
    assert left_out == {other for other in needed if other == "broker" and "profiles" not in SERVICES[name]}


@every_service
def test_no_service_can_gain_privileges(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "pgadmin" else [])
    assert "privileged" not in service


@every_service
def test_every_service_has_limits_and_is_restarted(name: str) -> None:
    service = SERVICES[name]

    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


@every_service
def test_no_service_runs_as_root(name: str) -> None:
    assert SERVICES[name]["user"].partition(":")[0] not in {"", "0", "root"}


@every_service_of_ours
def test_the_project_image_runs_unprivileged_and_writes_only_to_volumes(name: str) -> None:
    service = SERVICES[name]

    assert service["user"] == "10001:10001"
    assert f"\nUSER {service['user']}\n" in DOCKERFILE
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108


@every_service
def test_every_named_volume_is_declared(name: str) -> None:
    sources = [mount.partition(":")[0] for mount in SERVICES[name].get("volumes", [])]

    assert all(source.startswith("./") or source in COMPOSE["volumes"] for source in sources)
    assert all((PROJECT / source).exists() for source in sources if source.startswith("./"))


def test_postgres_has_its_volume_where_version_18_expects_it() -> None:
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


def test_postgres_is_tuned_like_the_embedded_server_with_a_quarter_of_its_memory_as_cache() -> None:
    command = SERVICES["postgres"]["command"]
    settings = dict(word.removeprefix("--").replace("-", "_").split("=") for word in command[1:])

    assert command[0] == "postgres"
    assert settings.pop("shared_buffers") == "256MB"
    assert SERVICES["postgres"]["mem_limit"] == "1g"
    assert settings.items() <= TUNING.items()


def test_postgres_starts_with_both_databases_and_the_roles_of_the_embedded_server() -> None:
    scripts = dict(
        mount.removesuffix(":ro").split(":/docker-entrypoint-initdb.d/")
        for mount in SERVICES["postgres"]["volumes"]
        if "initdb.d" in mount
    )

    assert SERVICES["postgres"]["environment"]["POSTGRES_DB"] == DATABASE_NAME
    assert list(scripts.values()) == ["10-dagster.sql", "20-roles.sql", "30-passwords.sql"]
    first, roles, passwords = ((PROJECT / path).read_text() for path in scripts)
    assert f"\nCREATE DATABASE {DAGSTER_DATABASE_NAME};\n" in first
    assert roles == ROLES_FILE.read_text()
    assert re.findall(r"ALTER ROLE (\w+) PASSWORD", passwords) == [LOADER, READER, DAGSTER]
    given = {name for name in SERVICES["postgres"]["environment"] if name.endswith("_PASSWORD")}
    assert set(re.findall(r"\\getenv \w+ (\w+)", passwords)) == given - {"POSTGRES_PASSWORD"}


def test_the_only_secrets_in_the_file_are_defaults() -> None:
    secrets = {
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|TOKEN|KEY", key)
    }

    assert secrets == {
        "${POSTGRES_PASSWORD:-postgres}",
        "${LOADER_PASSWORD:-purchase_loader}",
        "${READER_PASSWORD:-purchase_reader}",
        "${DAGSTER_PASSWORD:-dagster}",
        "${PGADMIN_PASSWORD:-postgres123}",
    }
    assert not re.search(r"://[^/\s]*:[^/\s]*@", COMPOSE_TEXT)


def test_pgadmin_knows_the_server_and_its_password() -> None:
    (server,) = json.loads((PROJECT / "deploy/pgadmin/servers.json").read_text())["Servers"].values()
    (config,) = SERVICES["pgadmin"]["configs"]
    services = ConfigParser()
    services.read_string(COMPOSE["configs"][config["source"]]["content"])

    assert SERVICES["pgadmin"]["environment"]["PGSERVICEFILE"] == config["target"]
    assert server["MaintenanceDB"] == DATABASE_NAME
    assert dict(services[server["Service"]]) == {
        "host": "postgres",
        "port": "5432",
        "dbname": DATABASE_NAME,
        "user": server["Username"],
        "password": SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"],
    }


@pytest.mark.parametrize(
    ("name", "logins"),
    [
        ("api", []),
        ("webserver", [(DAGSTER_DATABASE_NAME, DAGSTER)]),
        ("daemon", [(DAGSTER_DATABASE_NAME, DAGSTER)]),
        ("code_server", [(DAGSTER_DATABASE_NAME, DAGSTER), (DATABASE_NAME, LOADER)]),
        ("worker", [(DAGSTER_DATABASE_NAME, DAGSTER), (DATABASE_NAME, LOADER)]),
    ],
)
def test_each_service_has_only_the_passwords_that_it_needs(name: str, logins: list[tuple[str, str]]) -> None:
    environment = SERVICES[name]["environment"]
    lines = environment.get("PGPASS", "").splitlines()

    assert [tuple(line.split(":")[2:4]) for line in lines] == logins
    assert not [key for key in environment if key.endswith("PASSWORD")]


def test_libpq_finds_the_passwords_where_the_entrypoint_puts_them(tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    command = [str(PROJECT / "deploy/entrypoint.sh"), "sh", "-c", 'echo "$PGPASSFILE,${PGPASS-nothing}"']
    environment = {"PATH": os.environ["PATH"], "PGPASSFILE": str(file), "PGPASS": "a:1:b:c:$d\ne:1:f:g:h"}

    reported = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert reported == f"{file},nothing\n"
    assert file.read_text() == "a:1:b:c:$d\ne:1:f:g:h\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "\n    PGPASSFILE=/tmp/pgpass \\\n" in DOCKERFILE
    assert '\nENTRYPOINT ["entrypoint.sh"]\n' in DOCKERFILE


def test_the_example_names_every_variable_with_its_default() -> None:
    example = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    handed_on = {
        key: None
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if value is None
    }
    in_the_file = dict(VARIABLE.findall(COMPOSE_TEXT))

    assert example.keys() == in_the_file.keys() | handed_on.keys()
    assert in_the_file.items() <= example.items()


def test_the_example_shows_the_defaults_of_the_settings() -> None:
    example = dict(
        re.findall(r"^#PURCHASE_([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    )
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}

    for name in ("LOTS", "ROWS", "EVERY", "MAX_REJECTED_RATIO"):
        assert float(example[name]) == defaults[name]


def test_every_setting_that_is_passed_on_exists() -> None:
    known = {f"PURCHASE_{name.upper()}" for name in Settings.model_fields}
    given = {key for key in SERVICES["code_server"]["environment"] if key.startswith("PURCHASE_")}

    assert given == {key for key in SERVICES["worker"]["environment"] if key.startswith("PURCHASE_")}

    of_the_stack = {"PURCHASE_DATABASE_URL", "PURCHASE_DAGSTER_POSTGRES_URL", "PURCHASE_HOME"}
    of_up = {"PURCHASE_POSTGRES_PORT", "PURCHASE_METRICS_PORT"}
    is_a_volume = {"PURCHASE_LANDING"}  # shared by all containers
    of_the_ui = {
        key for key in SERVICES["webserver"]["environment"] if key not in SERVICES["daemon"]["environment"]
    }
    assert of_the_ui == {"PURCHASE_ALLOWED_HOSTS"}
    assert given == known - of_the_stack - of_up - is_a_volume - of_the_ui


def test_the_api_accepts_the_host_name_of_its_url() -> None:
    api = urlsplit(by_default(SERVICES["code_server"]["environment"]["PURCHASE_API_URL"]))

    assert SERVICES["api"]["environment"]["MOCK_API_ALLOWED_HOSTS"] == api.hostname == "api"


def test_the_code_location_has_one_name_everywhere() -> None:
    assert code_locations("workspace.yaml") == [CODE_LOCATION]
    assert code_locations("deploy/workspace.yaml") == [CODE_LOCATION]
    assert after("--location-name", SERVICES["code_server"]["command"]) == CODE_LOCATION
    assert PYPROJECT["tool"]["dg"]["project"]["code_location_name"] == CODE_LOCATION


def test_the_workspace_of_the_containers_names_the_code_server_and_its_port() -> None:
    (entry,) = yaml.safe_load((PROJECT / "deploy/workspace.yaml").read_text())["load_from"]

    assert entry["grpc_server"]["host"] in SERVICES
    assert str(entry["grpc_server"]["port"]) == after("-p", SERVICES["code_server"]["command"])


def test_dagster_connects_to_its_storage_like_the_local_stack() -> None:
    (url,) = {SERVICES[name]["environment"]["DAGSTER_POSTGRES_URL"] for name in OURS if name != "api"}
    given = Settings(
        database_url=SERVICES["code_server"]["environment"]["DATABASE_URL"],
        dagster_postgres_url=url.partition("?")[0],
    )

    assert sa.make_url(url) == sa.make_url(dagster_storage_url(given))


def test_the_image_installs_the_lock() -> None:
    assert (
        "install --require-hashes --no-deps --only-binary :all: --requirement requirements.lock" in DOCKERFILE
    )
    bases = set(re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE))
    assert bases == {"python:3.13-slim"}


def test_the_build_context_has_all_copied_files() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert "*" in lines
    bound = set(re.findall(r"--mount=type=bind,source=([^,]+)", DOCKERFILE))
    assert {source for source in copied | bound if source != "purchase_pipeline/stack/dagster.yaml"} == let_in
    assert all((PROJECT / source).exists() for source in copied | bound)
