"""Settings: the only place that reads the environment.

`up` and `ingest` save their settings to `campaign.env` in the home folder. Commands started later in another shell
(status, Dagster's own) read it, with lower priority than the environment.
"""

import os
import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DATABASE_NAME = "etl_fakedata"
DAGSTER_DATABASE_NAME = "dagster"
REPORT_PATH = "/sales-report"
"""Where Dagster's web server serves the sales report."""
PROJECT = Path(__file__).resolve().parent.parent
"""Folder of the project, if this is a checkout."""
_SETTINGS_FILE = "campaign.env"
_EXPORTED_FIELDS = (
    "lots",
    "rows",
    "every",
    "max_rejected_ratio",
    "hash_partitions",
    "api_url",
    "landing",
    "landing_retention_days",
    "quarantine_retention_days",
    "run_retention_days",
    "postgres_port",
)


def is_checkout(folder: Path) -> bool:
    """Return whether a folder has the project's code, and not the package as it is installed.

    Wheels of other projects may put their own `pyproject.toml` next to the package: those of `create-dagster` do.
    """
    is_project = (folder / "pyproject.toml").is_file() and (
        folder / "purchase_pipeline" / "settings.py"
    ).is_file()
    return is_project and folder.name not in {"site-packages", "dist-packages"}


def _default_home() -> Path:
    """Return `.purchase` in the project's folder, or in the current folder if the package is installed."""
    return (PROJECT if is_checkout(PROJECT) else Path.cwd()) / ".purchase"


def _require_postgres_url(secret: SecretStr) -> SecretStr:
    """Reject invalid URLs without quoting them: a password with a bare `@` or `/` may be parsed as a host."""
    try:
        url = sa.make_url(secret.get_secret_value())
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or not url.drivername.startswith("postgres") or _has_stray_at(secret.get_secret_value()):
        scheme = re.match(r"[a-z][a-z0-9+]*://", secret.get_secret_value())
        seen = f", but starts with {scheme[0]}" if scheme and not scheme[0].startswith("postgres") else ""
        raise ValueError(
            "must be postgresql://user:password@host:port/database, "
            f"with @ : / # % in the password as %40 %3A %2F %23 %25{seen}"
        )
    return secret


def _has_stray_at(url: str) -> bool:
    """Return whether a URL has an ambiguous `@`.

    Such as `ana:a@b/c@host/db`: libpq reads password `a` and host `b`, and would print that host in its error.
    """
    authority, *rest = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)
    return authority.count("@") > 1 or "@" in "".join(rest)


def _require_http_url(url: str) -> str:
    """Reject invalid base URLs without quoting them, as they may contain a key."""
    if problem := _url_problem(url):
        raise ValueError(f"must be http://host:port or https://host/path, but {problem}")
    return url


def _url_problem(url: str) -> str:
    """Return what is wrong with an API's URL; '' if nothing is."""
    if not url.isprintable() or " " in url:
        return "has a space or a control character"
    if not re.match("https?://", url, re.IGNORECASE):
        return "does not start with http:// or https://"
    if "?" in url or "#" in url:
        return (
            "has a ? or #; query and fragment are not supported. "
            "Put a key before the host, https://user:key@host, with ? and # as %3F and %23"
        )
    try:
        port = urlsplit(url).port
        _HTTP_URL.validate_python(url)
    except ValueError:  # pydantic's too
        port = 0
    return (
        "" if port != 0 else "host or port is invalid; write @ : / % in a user or password as %40 %3A %2F %25"
    )


def _without_login(url: str) -> str:
    """Remove user and password; either may be a token."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _require_webhook(secret: SecretStr) -> SecretStr:
    """Reject invalid webhook URLs without quoting them: whoever has one can post."""
    try:
        _HTTP_URL.validate_python(secret.get_secret_value())
    except ValueError:  # pydantic's too
        raise ValueError("must be http://host/path or https://host/path") from None
    return secret


def _require_smtp_url(secret: SecretStr) -> SecretStr:
    """Reject invalid mail servers without quoting them, as they may contain a password."""
    try:
        parts = urlsplit(secret.get_secret_value())
        valid = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "must be smtp://user:password@host:587 (STARTTLS if the server has it) or smtps://user:password@host:465, "
            "with @ : / # % in user and password as %40 %3A %2F %23 %25"
        )
    return secret


def _split_addresses(addresses: str) -> tuple[str, ...]:
    """Split comma-separated mail addresses."""
    found = tuple(address.strip() for address in addresses.split(",") if address.strip())
    if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for address in found):
        raise ValueError("must be comma-separated mail addresses: ops@example.com,ana@example.com")
    return found


def _require_location(location: str) -> str:
    """Accept a bucket's URL or a folder's path; do not quote it in errors, as it may contain a key."""
    scheme, is_address, rest = location.partition("://")
    if not is_address:
        return str(Path(location).absolute())
    if scheme != "s3" or not rest.strip("/") or "@" in rest:
        raise ValueError("must be a folder, or s3://bucket/prefix with the credentials in AWS_ACCESS_KEY_ID")
    return location


def require_rate(rate: str) -> str:
    """Return a rate of requests, or raise `ValueError` if it is malformed."""
    if not re.fullmatch(r"[1-9]\d*/([1-9]\d*)?(second|minute|hour|day)", rate):
        raise ValueError("must be a rate such as 600/minute, 10/second or 5/2second")
    return rate


def _require_log_format(name: str) -> str:
    if name not in {"colored", "json"}:
        raise ValueError("must be colored or json")
    return name


def _split_hosts(hosts: str) -> tuple[str, ...]:
    """Split comma-separated host names; reject URLs and patterns."""
    names = tuple(name.strip() for name in hosts.split(",") if name.strip())
    if not all(re.fullmatch(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", name) for name in names):
        raise ValueError("must be comma-separated hosts: dagster.example.com,dagster.example.com:8443")
    return names


def _require_writable_name(path: Path) -> Path:
    """Reject paths that cannot be written to configuration files."""
    if not str(path).isprintable():  # false for invalid UTF-8, too
        raise ValueError("must be a UTF-8 path without control characters")
    return path.absolute()


_NUMBERS = {int: "a whole number", float: "a number"}
_SHOWN_IN_ERRORS = {
    "lots",
    "rows",
    "every",
    "max_rejected_ratio",
    "hash_partitions",
    "api_rate",
    "landing_retention_days",
    "quarantine_retention_days",
    "run_retention_days",
    "postgres_port",
    "metrics_port",
    "log_format",
}
"""Settings that cannot hold a password, unlike a URL."""

_HTTP_URL = TypeAdapter(HttpUrl)
_PostgresUrl = Annotated[SecretStr, AfterValidator(_require_postgres_url)]
_PublicUrl = Annotated[str, AfterValidator(_require_http_url), AfterValidator(_without_login)]
_WebhookUrl = Annotated[SecretStr, AfterValidator(_require_webhook)]
_SmtpUrl = Annotated[SecretStr, AfterValidator(_require_smtp_url)]
_Rate = Annotated[str, AfterValidator(require_rate)]


class Settings(BaseSettings):
    """All settings with their defaults: `PURCHASE_LOTS`, `PURCHASE_HOME`, ... and `DATABASE_URL`."""

    model_config = SettingsConfigDict(
        env_prefix="PURCHASE_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a URL may hold a password
    )

    database_url: _PostgresUrl | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL to load into; default: an embedded server",
    )
    dagster_postgres_url: _PostgresUrl | None = Field(
        default=None,
        validation_alias="DAGSTER_POSTGRES_URL",
        description="Dagster's storage if DATABASE_URL is set; default: the database `dagster` on the same server",
    )
    # Not in the repr, as it may contain a password.
    api_url: Annotated[str, AfterValidator(_require_http_url)] = Field(
        default="http://127.0.0.1:8000", repr=False, description="Base URL of the purchase API"
    )
    api_rate: _Rate | None = Field(
        default=None,
        description="Maximum API request rate of all workers together: 600/minute; needs PURCHASE_REDIS_URL",
    )
    redis_url: SecretStr | None = Field(
        default=None, description="Redis shared by all workers: redis://host:6379/0"
    )
    lots: int = Field(default=50, ge=1, le=100_000, description="Number of batches (lotes) to load")
    rows: int = Field(default=10_000, ge=1, le=1_000_000, description="Rows per batch")
    every: float = Field(default=5.0, ge=0.1, le=86_400, description="Seconds between two batches")
    max_rejected_ratio: float = Field(
        default=0.05, gt=0, le=1, description="Ratio of rejected rows at which the whole batch fails"
    )
    hash_partitions: int | None = Field(
        default=None,
        ge=2,
        le=1024,
        description="Number of hash partitions (by batch) of tables that do not exist yet",
    )
    home: Annotated[Path, AfterValidator(_require_writable_name)] = Field(
        default_factory=_default_home, description="Folder for all local state"
    )
    landing: Annotated[str, AfterValidator(_require_location)] | None = Field(
        default=None,
        description="Raw batches: a folder, or s3://bucket/prefix; default: a folder in PURCHASE_HOME",
    )
    landing_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that the landed files of loaded batches are kept; default: for ever",
    )
    quarantine_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that the rejected rows of loaded batches are kept; default: for ever",
    )
    run_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that finished runs and their logs are kept in Dagster; default: for ever",
    )
    postgres_port: int | None = Field(
        default=None,
        ge=1024,
        le=65_535,
        description="Port of the embedded PostgreSQL on 127.0.0.1, for desktop tools; default: none",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_hosts)] = Field(
        default=(),
        validate_default=False,
        description="Host names of a reverse proxy for Dagster's UI: dagster.example.com",
    )

    repository_url: _PublicUrl | None = Field(
        default=None,
        description="Web address of this repository, to which Dagster's UI links: https://host/owner/name",
    )

    ui_url: _PublicUrl | None = Field(
        default=None,
        description="Address of Dagster's UI for people who read alerts: https://dagster.example.com",
    )
    alert_webhook: _WebhookUrl | None = Field(
        default=None, description="Webhook that gets alerts as JSON, such as an incoming webhook of Slack"
    )
    alert_mail: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_addresses)] = Field(
        default=(), validate_default=False, description="Mail addresses that get alerts"
    )
    alert_smtp: _SmtpUrl | None = Field(
        default=None, description="Mail server for alerts: smtp://user:password@host:587, or smtps://"
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1024,
        le=65_535,
        description="Port on 127.0.0.1 where `up` serves metrics for Prometheus; default: none",
    )
    log_format: Annotated[Literal["colored", "json"], BeforeValidator(_require_log_format)] = Field(
        default="colored", description="Logs of the services: colored text, or a JSON object a line"
    )

    @model_validator(mode="after")
    def _require_a_server_for_mail(self) -> Self:
        if bool(self.alert_mail) != bool(self.alert_smtp):
            raise ValueError(
                "PURCHASE_ALERT_MAIL and PURCHASE_ALERT_SMTP need each other: set both "
                "(ops@example.com and smtp://user:password@host:587), or neither"
            )
        return self

    @model_validator(mode="after")
    def _require_redis_for_a_rate(self) -> Self:
        if self.api_rate and not self.redis_url:
            raise ValueError(
                "PURCHASE_API_RATE needs Redis: set PURCHASE_REDIS_URL, too (redis://host:6379/0)"
            )
        return self

    @property
    def lote_names(self) -> list[str]:
        """Names of the target batches in order: `lote-0001`, `lote-0002`, ..."""
        return [f"lote-{number:04d}" for number in range(1, self.lots + 1)]

    @property
    def landing_location(self) -> str:
        """Where raw batches are stored: a folder's path, or a bucket's URL."""
        return self.landing or str(self.home / "landing")

    @property
    def report_file(self) -> Path:
        """Path of the sales report."""
        return self.home / "reports" / "sales-report.html"

    @property
    def dagster_home(self) -> Path:
        """Dagster's home folder: its configuration and logs."""
        return self.home / "dagster"

    @property
    def saved_file(self) -> Path:
        """Path of the settings that `save` writes."""
        return self.home / _SETTINGS_FILE

    @property
    def postgres_home(self) -> Path:
        """Folder of the embedded PostgreSQL."""
        return self.home / "postgres"

    def is_given(self, field: str) -> bool:
        """Return whether a field was set explicitly."""
        return field in self.model_fields_set

    def make_home(self) -> None:
        """Create the folder for local state, which git ignores: it is in the user's project."""
        self.home.mkdir(parents=True, exist_ok=True)
        ignored = self.home / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")

    def exported(self) -> dict[str, str]:
        """Return the settings that all processes must share, as environment variables."""
        fields = ((name, getattr(self, name)) for name in _EXPORTED_FIELDS)
        values = {f"PURCHASE_{name.upper()}": str(value) for name, value in fields if value is not None}
        return {**values, "PURCHASE_HOME": str(self.home)}

    def save(self) -> None:
        """Save the settings for commands started later, without secrets.

        If the API needs a password, set PURCHASE_API_URL again for a Dagster command in another shell, like
        DATABASE_URL.
        """
        self.make_home()
        values = {**self.exported(), "PURCHASE_API_URL": _without_login(self.api_url)}
        del values["PURCHASE_HOME"]  # the file's own folder, which may be copied or moved
        lines = [f"{name}={_quoted(value)}\n" for name, value in values.items()]
        file = self.saved_file
        file.touch(mode=0o600)
        file.chmod(0o600)  # the file may already exist
        file.write_text("".join(lines), encoding="utf-8")


def _quoted(value: str) -> str:
    """Quote a value for python-dotenv."""
    return "'{}'".format(value.replace("\\", r"\\").replace("'", r"\'"))


def new_settings(*, lots: int | None = None, rows: int | None = None, every: float | None = None) -> Settings:
    """Read the settings for `up` or `ingest` from the environment; arguments take precedence.

    Raises:
        pydantic.ValidationError: invalid value.
    """
    options: dict[str, Any] = {"lots": lots, "rows": rows, "every": every}
    return Settings(**{name: value for name, value in options.items() if value is not None})


@cache
def current_settings() -> Settings:
    """Read the environment, then the settings saved by the last `up` or `ingest`; cached.

    Raises:
        pydantic.ValidationError: invalid value.
    """
    home = Settings().home
    # Files of older versions contain a home, which may have been moved since.
    return Settings(_env_file=home / _SETTINGS_FILE, home=home)


def explained(error: ValidationError, options: Collection[str] = ()) -> str:
    """Describe invalid settings, each by the name of its option or variable."""
    return "; ".join(_explained(error, options) for error in error.errors(include_url=False))


def _explained(error: ErrorDetails, options: Collection[str]) -> str:
    if not error["loc"]:  # concerns several settings, and names them
        return error["msg"].removeprefix("Value error, ")
    name = str(error["loc"][0])
    field = Settings.model_fields.get(name)
    shown = f"--{name}" if name in options else name if field is None else f"PURCHASE_{name.upper()}"
    seen = f", but is {error['input']!r}" if name in _SHOWN_IN_ERRORS else ""
    kind = None if field is None else _number_of(field.annotation)
    if field is None or kind is None:
        return f"{shown} {error['msg'].removeprefix('Value error, ')}{seen}"
    return f"{shown} must be {_NUMBERS[kind]}{_bounds(field.metadata)}{seen}"


def _number_of(annotation: Any) -> type | None:  # noqa: ANN401  (any type)
    """Return the kind of number that a field takes, also where it may have none."""
    return next((kind for kind in (annotation, *get_args(annotation)) if kind in _NUMBERS), None)


def _bounds(metadata: Iterable[Any]) -> str:
    """Describe the bounds of a numeric field."""
    words = {"ge": "from", "gt": "above", "le": "to"}
    found = (
        (word, getattr(each, key)) for each in metadata for key, word in words.items() if hasattr(each, key)
    )
    return "".join(f" {word} {bound}" for word, bound in found)


def is_environment_variable(name: str) -> bool:
    """Return whether an environment variable is set and not empty."""
    return bool(os.environ.get(name))
