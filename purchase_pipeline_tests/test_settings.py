"""Settings: precedence of options, environment and saved settings; validation; masked secrets."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

import purchase_pipeline
from purchase_pipeline.settings import (
    Settings,
    current_settings,
    explained,
    is_environment_variable,
    new_settings,
)
from purchase_pipeline.stack.database import shown_database_url

VARIABLES = (
    "DATABASE_URL",
    "DAGSTER_POSTGRES_URL",
    "PURCHASE_API_URL",
    "PURCHASE_API_RATE",
    "PURCHASE_REDIS_URL",
    "PURCHASE_LOTS",
    "PURCHASE_ROWS",
    "PURCHASE_EVERY",
    "PURCHASE_MAX_REJECTED_RATIO",
    "PURCHASE_HASH_PARTITIONS",
    "PURCHASE_HOME",
    "PURCHASE_LANDING",
    "PURCHASE_LANDING_RETENTION_DAYS",
    "PURCHASE_QUARANTINE_RETENTION_DAYS",
    "PURCHASE_RUN_RETENTION_DAYS",
    "PURCHASE_POSTGRES_PORT",
    "PURCHASE_ALLOWED_HOSTS",
    "PURCHASE_REPOSITORY_URL",
    "PURCHASE_UI_URL",
    "PURCHASE_ALERT_WEBHOOK",
    "PURCHASE_ALERT_MAIL",
    "PURCHASE_ALERT_SMTP",
    "PURCHASE_METRICS_PORT",
    "PURCHASE_LOG_FORMAT",
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    current_settings.cache_clear()
    yield
    current_settings.cache_clear()


def values_of(settings: Settings) -> tuple[object, ...]:
    return tuple(settings.model_dump().values())


def test_defaults() -> None:
    home = Path(purchase_pipeline.__file__).parent.parent / ".purchase"

    settings = Settings()

    assert values_of(settings) == (
        None,
        None,
        "http://127.0.0.1:8000",
        None,
        None,
        50,
        10_000,
        5.0,
        0.05,
        None,
        home,
        None,
        None,
        None,
        None,
        None,
        (),
        None,
        None,
        None,
        (),
        None,
        None,
        "colored",
    )
    assert (settings.landing_location, settings.dagster_home, settings.postgres_home) == (
        str(home / "landing"),
        home / "dagster",
        home / "postgres",
    )


def test_the_environment_overrides_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana@db/compras")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql+psycopg2://bia@db/dagster")
    monkeypatch.setenv("PURCHASE_API_URL", "http://api:9000")
    monkeypatch.setenv("PURCHASE_API_RATE", "5/2second")
    monkeypatch.setenv("PURCHASE_REDIS_URL", "redis://:secret@broker:6379/0")
    monkeypatch.setenv("PURCHASE_LOTS", "3")
    monkeypatch.setenv("PURCHASE_ROWS", "70")
    monkeypatch.setenv("PURCHASE_EVERY", "0.5")
    monkeypatch.setenv("PURCHASE_MAX_REJECTED_RATIO", "1")
    monkeypatch.setenv("PURCHASE_HASH_PARTITIONS", "64")
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    monkeypatch.setenv("PURCHASE_LANDING", "s3://raw/lots")
    monkeypatch.setenv("PURCHASE_LANDING_RETENTION_DAYS", "90")
    monkeypatch.setenv("PURCHASE_QUARANTINE_RETENTION_DAYS", "365")
    monkeypatch.setenv("PURCHASE_RUN_RETENTION_DAYS", "30")
    monkeypatch.setenv("PURCHASE_POSTGRES_PORT", "5433")
    monkeypatch.setenv("PURCHASE_ALLOWED_HOSTS", "dagster.example, [fd00::7]:8443")
    monkeypatch.setenv("PURCHASE_REPOSITORY_URL", "https://ana:token@git.example/shop/pipeline")
    monkeypatch.setenv("PURCHASE_UI_URL", "https://dagster.example")
    monkeypatch.setenv("PURCHASE_ALERT_WEBHOOK", "https://hooks.example/secret")
    monkeypatch.setenv("PURCHASE_ALERT_MAIL", "ops@example.com, ana@example.com")
    monkeypatch.setenv("PURCHASE_ALERT_SMTP", "smtps://ana:secret@mail.example")
    monkeypatch.setenv("PURCHASE_METRICS_PORT", "9464")
    monkeypatch.setenv("PURCHASE_LOG_FORMAT", "json")

    settings = Settings()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://ana@db/compras"
    assert settings.dagster_postgres_url is not None
    assert settings.dagster_postgres_url.get_secret_value() == "postgresql+psycopg2://bia@db/dagster"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:secret@broker:6379/0"
    assert values_of(settings)[2:4] == ("http://api:9000", "5/2second")
    assert values_of(settings)[5:] == (
        3,
        70,
        0.5,
        1.0,
        64,
        tmp_path,
        "s3://raw/lots",
        90,
        365,
        30,
        5433,
        ("dagster.example", "[fd00::7]:8443"),
        "https://git.example/shop/pipeline",
        "https://dagster.example",
        SecretStr("https://hooks.example/secret"),
        ("ops@example.com", "ana@example.com"),
        SecretStr("smtps://ana:secret@mail.example"),
        9464,
        "json",
    )
    assert settings.landing_location == "s3://raw/lots"
    assert all(settings.is_given(field) for field in Settings.model_fields)


def test_an_empty_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")

    settings = Settings()

    assert (settings.database_url, settings.lots, settings.home.name) == (None, 50, ".purchase")
    assert not any(settings.is_given(field) for field in Settings.model_fields)
    assert not is_environment_variable("PURCHASE_LOTS")


def test_is_given_tells_set_fields_from_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURCHASE_LOTS", "50")

    assert is_environment_variable("PURCHASE_LOTS")
    assert not is_environment_variable("PURCHASE_ROWS")
    assert Settings().is_given("lots")
    assert not Settings().is_given("rows")


def test_arguments_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURCHASE_LOTS", "3")
    monkeypatch.setenv("PURCHASE_ROWS", "70")

    settings = new_settings(lots=9, every=1.5)

    assert (settings.lots, settings.rows, settings.every) == (9, 70, 1.5)


def test_a_relative_folder_is_resolved_from_the_current_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PURCHASE_HOME", "state")
    monkeypatch.setenv("PURCHASE_LANDING", "lots")

    assert (Settings().home, Settings().landing) == (tmp_path / "state", str(tmp_path / "lots"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PURCHASE_LOTS", "1"),
        ("PURCHASE_LOTS", "100000"),
        ("PURCHASE_ROWS", "1"),
        ("PURCHASE_ROWS", "1000000"),
        ("PURCHASE_EVERY", "0.1"),
        ("PURCHASE_EVERY", "86400"),
        ("PURCHASE_MAX_REJECTED_RATIO", "0.000001"),
        ("PURCHASE_MAX_REJECTED_RATIO", "1"),
    ],
)
def test_a_value_at_its_bound_is_accepted(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    settings = Settings()

    assert getattr(settings, variable.removeprefix("PURCHASE_").lower()) == float(value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PURCHASE_LOTS", "0"),
        ("PURCHASE_LOTS", "100001"),
        ("PURCHASE_LOTS", "many"),
        ("PURCHASE_LOTS", "1.5"),
        ("PURCHASE_ROWS", "0"),
        ("PURCHASE_ROWS", "1000001"),
        ("PURCHASE_EVERY", "0.09"),
        ("PURCHASE_EVERY", "86401"),
        ("PURCHASE_EVERY", "nan"),
        ("PURCHASE_MAX_REJECTED_RATIO", "0"),
        ("PURCHASE_MAX_REJECTED_RATIO", "1.01"),
        ("PURCHASE_MAX_REJECTED_RATIO", "nan"),
        ("PURCHASE_LANDING", "gs://raw/lots"),
        ("PURCHASE_LANDING", "s3://"),
        ("PURCHASE_LANDING", "s3://key:segredo@raw/lots"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana:segredo@db/compras")
    monkeypatch.setenv(variable, value)

    with pytest.raises(ValidationError) as refused:
        Settings()

    (error,) = refused.value.errors()
    assert error["loc"] == (variable.removeprefix("PURCHASE_").lower(),)
    assert "segredo" not in str(refused.value)


def test_an_argument_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValidationError, match="lots"):
        new_settings(lots=0)


def test_a_later_command_reads_the_saved_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path / "it's a \\ home"))
    monkeypatch.setenv("PURCHASE_API_URL", "http://api:9000/it's")
    monkeypatch.setenv("PURCHASE_LANDING", "s3://raw/lots")
    monkeypatch.setenv("PURCHASE_HASH_PARTITIONS", "16")
    monkeypatch.setenv("PURCHASE_RUN_RETENTION_DAYS", "30")
    monkeypatch.setenv("PURCHASE_POSTGRES_PORT", "5433")
    campaign = new_settings(lots=3, rows=70, every=0.5)
    campaign.save()
    monkeypatch.delenv("PURCHASE_API_URL")
    monkeypatch.delenv("PURCHASE_LANDING")
    monkeypatch.delenv("PURCHASE_HASH_PARTITIONS")
    monkeypatch.delenv("PURCHASE_RUN_RETENTION_DAYS")
    monkeypatch.delenv("PURCHASE_POSTGRES_PORT")

    settings = current_settings()

    assert settings == campaign
    assert values_of(settings)[2:] == (
        "http://api:9000/it's",
        None,
        None,
        3,
        70,
        0.5,
        0.05,
        16,
        tmp_path / "it's a \\ home",
        "s3://raw/lots",
        None,
        None,
        30,
        5433,
        (),
        None,
        None,
        None,
        (),
        None,
        None,
        "colored",
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ALERT_WEBHOOK": "hooks.example/secret"}, "PURCHASE_ALERT_WEBHOOK must be http://host/path or"),
        ({"ALERT_SMTP": "smtp://ana:secret@mail.example/x"}, "PURCHASE_ALERT_SMTP must be smtp://user"),
        ({"ALERT_SMTP": "http://ana:secret@mail.example"}, "PURCHASE_ALERT_SMTP must be smtp://user"),
        ({"ALERT_SMTP": "smtp://ana:secret@mail.example:x"}, "PURCHASE_ALERT_SMTP must be smtp://user"),
        ({"ALERT_MAIL": "secret"}, "PURCHASE_ALERT_MAIL must be comma-separated mail addresses"),
        ({"ALERT_MAIL": "ops@example.com"}, "PURCHASE_ALERT_MAIL and PURCHASE_ALERT_SMTP need each other"),
        ({"ALERT_SMTP": "smtp://ana:secret@mail.example"}, "need each other"),
        ({"LOG_FORMAT": "text"}, "PURCHASE_LOG_FORMAT must be colored or json, but is 'text'"),
        (
            {"METRICS_PORT": "80"},
            "PURCHASE_METRICS_PORT must be a whole number from 1024 to 65535, but is '80'",
        ),
    ],
)
def test_invalid_monitoring_is_explained_without_secrets(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"PURCHASE_{name}", value)

    with pytest.raises(ValidationError) as raised:
        Settings()

    said = explained(raised.value)
    assert message in said
    assert "secret" not in said + str(raised.value)


def settings_seen_from(checkout: Path, action: str) -> str:
    """Run code with the settings of a checkout, in a process without variables of the pipeline."""
    done = subprocess.run(
        [sys.executable, "-c", f"from purchase_pipeline.settings import *; {action}"],
        cwd=checkout.parent,
        env={"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_an_installed_package_has_its_home_in_the_current_folder(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    (installed / "purchase_pipeline").mkdir(parents=True)
    (installed / "pyproject.toml").touch()  # of a project that `create-dagster` made
    for module in ("__init__.py", "settings.py"):
        shutil.copy(Path(purchase_pipeline.__file__).with_name(module), installed / "purchase_pipeline")

    assert settings_seen_from(installed, "print(Settings().home)") == str(tmp_path / ".purchase")


def test_git_ignores_the_home(tmp_path: Path) -> None:
    Settings(home=tmp_path / "home").save()

    assert (tmp_path / "home" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("version", ["this", "an older one, which wrote down where the home was"])
@pytest.mark.parametrize("go", [shutil.move, shutil.copytree])
def test_a_copied_or_moved_checkout_uses_its_own_home(
    tmp_path: Path, go: Callable[[Path, Path], object], version: str
) -> None:
    checkout, other = tmp_path / "checkout", tmp_path / "it's another # 100%"
    (checkout / "purchase_pipeline").mkdir(parents=True)
    (checkout / "pyproject.toml").touch()
    for module in ("__init__.py", "settings.py"):
        shutil.copy(Path(purchase_pipeline.__file__).with_name(module), checkout / "purchase_pipeline")
    settings_seen_from(checkout, "new_settings(lots=3).save()")
    if version != "this":
        with (checkout / ".purchase" / "campaign.env").open("a") as file:
            file.write(f"PURCHASE_HOME='{checkout / '.purchase'}'\n")

    go(checkout, other)

    seen = settings_seen_from(other, "print(current_settings().home, current_settings().lots)")
    assert seen == f"{other / '.purchase'} 3"


def test_the_environment_overrides_saved_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    new_settings(lots=3, rows=70).save()
    monkeypatch.setenv("PURCHASE_ROWS", "80")

    assert (current_settings().lots, current_settings().rows) == (3, 80)


def test_new_settings_ignore_saved_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    new_settings(lots=3, rows=70).save()
    new_settings(rows=80).save()

    assert (new_settings().lots, new_settings().rows) == (50, 10_000)
    assert (current_settings().lots, current_settings().rows) == (50, 80)


def test_a_rate_without_its_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURCHASE_API_RATE", "600/minute")

    with pytest.raises(ValidationError, match="PURCHASE_API_RATE needs Redis: set PURCHASE_REDIS_URL"):
        Settings()


@pytest.mark.parametrize("rate", ["fast", "0/second", "1/fortnight", "-1/minute"])
def test_a_malformed_rate_is_refused(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    monkeypatch.setenv("PURCHASE_API_RATE", rate)
    monkeypatch.setenv("PURCHASE_REDIS_URL", "redis://broker:6379/0")

    with pytest.raises(ValidationError, match="must be a rate such as"):
        Settings()


def test_without_saved_settings_the_environment_applies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    monkeypatch.setenv("PURCHASE_LOTS", "4")

    assert current_settings() == Settings()
    assert current_settings().lots == 4


def test_exported_settings_are_shared_by_all_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    monkeypatch.setenv("PURCHASE_API_URL", "http://api:9000")
    campaign = new_settings(lots=3, rows=70, every=0.5)

    assert campaign.exported() == {
        "PURCHASE_LOTS": "3",
        "PURCHASE_ROWS": "70",
        "PURCHASE_EVERY": "0.5",
        "PURCHASE_MAX_REJECTED_RATIO": "0.05",
        "PURCHASE_API_URL": "http://api:9000",
        "PURCHASE_HOME": str(tmp_path),
    }


def test_no_password_is_shown_or_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana:segredo@db/compras")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://bia:segredo@db/dagster")
    monkeypatch.setenv("PURCHASE_API_URL", "http://ana:segredo@api:9000/v1")

    settings = Settings()
    settings.save()

    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "PURCHASE_API_URL='http://api:9000/v1'" in written
    assert "segredo" not in written + repr(settings) + str(settings)
    assert settings.exported()["PURCHASE_API_URL"] == "http://ana:segredo@api:9000/v1"


def test_the_saved_file_is_readable_by_its_owner_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path))
    file = tmp_path / "campaign.env"
    file.write_text("PURCHASE_LOTS=9")
    file.chmod(0o644)

    Settings().save()

    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "segredo"),
        ("DATABASE_URL", "host=db password=segredo"),
        ("DATABASE_URL", "mysql://ana:segredo@db/compras"),
        ("DATABASE_URL", "postgresql://ana:a@segredo@db/compras"),
        ("DATABASE_URL", "postgresql://ana@db:segredo/compras"),
        ("DATABASE_URL", "postgresql://ana:a@segredo/b@db/compras"),
        ("DATABASE_URL", "postgresql://ana:a@segredo?b@db/compras"),
        ("DATABASE_URL", "postgresql://ana:a@segredo#b@db/compras"),
        ("DATABASE_URL", "postgresql://db:5432/compras?user=ana&password=a@segredo"),
        ("DATABASE_URL", "postgresql:///compras?host=/tmp&user=ana&password=a@segredo"),
        ("DATABASE_URL", "postgresql:ana:segredo@db/compras"),
        ("DAGSTER_POSTGRES_URL", "segredo"),
        ("PURCHASE_API_URL", "segredo"),
        ("PURCHASE_API_URL", "ftp://ana:segredo@api"),
        ("PURCHASE_API_URL", "http://ana:segredo#1@api"),
        ("PURCHASE_API_URL", "http://ana:segredo/1@api"),
        ("PURCHASE_API_URL", "https://api.example.com/v1/data?key=segredo"),
        ("PURCHASE_API_URL", "https://api.example.com/v1#segredo"),
        ("PURCHASE_API_URL", "http://ana:se segredo@api"),
        ("PURCHASE_API_URL", "http:\\\\ana:segredo@api"),
    ],
)
def test_a_malformed_url_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ValidationError, match=r"must be (postgresql|http)://") as refused:
        Settings()

    shown = f"{refused.value} {[error['msg'] for error in refused.value.errors()]}"
    assert "segredo" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:a%40b%2Fc@db/compras",
        "postgresql://ana%40example:a:b@db:5432/compras",
        "postgresql:///compras?host=/var/run/postgresql&user=ana&password=a%40b",
        "postgresql://ana:segredo@/compras?host=one&host=two",
        "postgresql://ana:segredo@[::1]:5432/compras",
    ],
)
def test_a_url_with_encoded_reserved_characters_is_accepted(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    given = Settings().database_url

    assert given is not None
    assert given.get_secret_value() == url


@pytest.mark.parametrize(
    "option", ["password", "sslpassword", "oauth_client_secret", "scram_client_key", "Password", "pasword"]
)
def test_no_secret_of_a_url_is_shown(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv(
        "DATABASE_URL", f"postgresql://ana:segredo@db/compras?{option}=segredo&sslmode=require"
    )

    shown = shown_database_url(Settings())

    assert "segredo" not in shown
    assert shown.startswith("postgresql://ana:***@db/compras?")
    assert "sslmode=require" in shown


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://api.example.com/v1/data?key=k", "but has a ? or #; query and fragment are not supported"),
        ("https://api.example.com/?", "but has a ? or #; query and fragment are not supported"),
        ("https://api.example.com/#top", "but has a ? or #; query and fragment are not supported"),
        ("http://a pi:9000", "but has a space or a control character"),
        (" http://api:9000", "but has a space or a control character"),
        ("http://api:9000\n", "but has a space or a control character"),
        ("http://api\x1b[2J", "but has a space or a control character"),
        ("http://api\u202e", "but has a space or a control character"),
        ("ftp://api", "but does not start with http:// or https://"),
        ("api.example.com", "but does not start with http:// or https://"),
        ("http:/api", "but does not start with http:// or https://"),
        ("http://", "but host or port is invalid"),
        ("http://:9000", "but host or port is invalid"),
        ("http://api:99999", "but host or port is invalid"),
        ("http://api:0", "but host or port is invalid"),
        ("http://api:http", "but host or port is invalid"),
        ("http://[::1", "but host or port is invalid"),
    ],
)
def test_an_unusable_api_url_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, url: str, fault: str
) -> None:
    monkeypatch.setenv("PURCHASE_API_URL", url)

    with pytest.raises(ValidationError) as refused:
        Settings()

    (error,) = refused.value.errors()
    assert f"must be http://host:port or https://host/path, {fault}" in error["msg"]
    assert error["msg"].isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com/v1/",
        "HTTP://Api:9000",
        "http://[::1]:9000/v1",
        "http://ana:se%40gre%3Fdo@api/v1;x=1",
        "http://bücher.example",
    ],
)
def test_an_api_may_have_a_path_a_port_and_a_login(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PURCHASE_API_URL", url)

    assert Settings().api_url == url


def test_settings_are_immutable() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.lots = 3  # type: ignore[misc]  # mypy refuses it too


@pytest.mark.parametrize(
    "hosts", ["https://dagster.example", "dagster.example/ui", "*", "*.example", "a b", "::1"]
)
def test_an_allowed_host_must_be_a_host_name(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    monkeypatch.setenv("PURCHASE_ALLOWED_HOSTS", hosts)

    with pytest.raises(ValidationError, match="must be comma-separated hosts"):
        Settings()
