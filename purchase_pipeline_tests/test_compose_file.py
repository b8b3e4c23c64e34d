"""What docker-compose.yml promises: nothing beyond loopback, nothing unpinned, no power that is not needed."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

from purchase_pipeline.dagster_home import CODE_LOCATION
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings

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
    assert set(SERVICES) == {"postgres", "pgadmin", "api", "code_server", "webserver", "daemon"}


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


def test_our_image_has_the_version_of_the_project_and_is_built_once() -> None:
    version = PYPROJECT["project"]["version"]

    assert {SERVICES[name]["image"] for name in OURS} == {f"purchase-pipeline:{version}"}
    assert [name for name in OURS if "build" in SERVICES[name]] == ["api"]
    assert OURS == ["api", "code_server", "daemon", "webserver"]


def test_pgadmin_is_past_its_known_holes() -> None:
    assert Version(SERVICES["pgadmin"]["image"].partition(":")[2]) >= Version("9.15")


@every_service
def test_every_service_can_say_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@every_service
def test_who_depends_on_a_service_waits_until_it_is_well(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})

    assert needed.keys() <= SERVICES.keys()
    assert all(how == {"condition": "service_healthy"} for how in needed.values())


@every_service
def test_no_service_can_gain_a_power(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "pgadmin" else [])
    assert "privileged" not in service


@every_service
def test_every_service_is_bounded_and_comes_back(name: str) -> None:
    service = SERVICES[name]

    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


@every_service_of_ours
def test_our_image_runs_as_its_plain_user_and_writes_only_to_volumes(name: str) -> None:
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


def test_postgres_keeps_its_data_where_version_18_looks_for_it() -> None:
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


def test_postgres_starts_with_both_databases() -> None:
    init = (PROJECT / "deploy/postgres/10-dagster.sql").read_text()

    assert SERVICES["postgres"]["environment"]["POSTGRES_DB"] == DATABASE_NAME
    assert f"\nCREATE DATABASE {DAGSTER_DATABASE_NAME};\n" in init


def test_no_secret_stands_in_the_file_but_as_a_default() -> None:
    secrets = {
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|TOKEN|KEY", key)
    }

    assert secrets == {"${POSTGRES_PASSWORD:-postgres}", "${PGADMIN_PASSWORD:-postgres123}"}
    assert not re.search(r"://[^/\s]*:[^/\s]*@", COMPOSE_TEXT)


def test_pgadmin_knows_the_server_and_its_password() -> None:
    (server,) = json.loads((PROJECT / "deploy/pgadmin/servers.json").read_text())["Servers"].values()
    secret = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]

    assert server["MaintenanceDB"] == DATABASE_NAME
    assert COMPOSE["configs"]["pgpass"]["content"] == (
        f"{server['Host']}:{server['Port']}:*:{server['Username']}:{secret}\n"
    )
    assert SERVICES["pgadmin"]["configs"] == [
        {"source": "pgpass", "target": "/pgpass", "uid": "5050", "gid": "0", "mode": 0o400}
    ]


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


def test_the_example_says_what_holds_without_it() -> None:
    example = dict(
        re.findall(r"^#PURCHASE_([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    )
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}

    for name in ("LOTS", "ROWS", "EVERY", "MAX_REJECTED_RATIO"):
        assert float(example[name]) == defaults[name]


def test_every_setting_that_is_handed_on_is_one() -> None:
    known = {f"PURCHASE_{name.upper()}" for name in Settings.model_fields}
    given = {key for key in SERVICES["code_server"]["environment"] if key.startswith("PURCHASE_")}

    assert given == known - {"PURCHASE_DATABASE_URL", "PURCHASE_DAGSTER_POSTGRES_URL", "PURCHASE_HOME"}


def test_the_code_location_has_one_name_everywhere() -> None:
    assert code_locations("workspace.yaml") == [CODE_LOCATION]
    assert code_locations("deploy/workspace.yaml") == [CODE_LOCATION]
    assert after("--location-name", SERVICES["code_server"]["command"]) == CODE_LOCATION
    assert PYPROJECT["tool"]["dg"]["project"]["code_location_name"] == CODE_LOCATION


def test_the_workspace_of_the_containers_names_the_code_server_where_it_listens() -> None:
    (entry,) = yaml.safe_load((PROJECT / "deploy/workspace.yaml").read_text())["load_from"]

    assert entry["grpc_server"]["host"] in SERVICES
    assert str(entry["grpc_server"]["port"]) == after("-p", SERVICES["code_server"]["command"])


def test_dagster_talks_to_its_storage_through_psycopg2() -> None:
    dagster = [SERVICES[name]["environment"] for name in OURS if name != "api"]

    assert {environment["DAGSTER_POSTGRES_URL"] for environment in dagster} == {
        f"postgresql+psycopg2://postgres@postgres:5432/{DAGSTER_DATABASE_NAME}"
    }


def test_the_image_holds_what_is_locked() -> None:
    assert (
        "pip install --require-hashes --no-deps --only-binary :all: --requirement requirements.lock"
        in DOCKERFILE
    )
    bases = set(re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE))
    assert bases == {"python:3.13-slim"}


def test_the_build_is_given_all_that_it_copies() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert "*" in lines
    assert {source for source in copied if source != "purchase_pipeline/dagster.yaml"} == let_in
    assert all((PROJECT / source).exists() for source in copied)
