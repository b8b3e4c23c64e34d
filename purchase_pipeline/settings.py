"""Settings: the one place that reads the environment.

`up` and `ingest` write what they run with to `campaign.env` in the home folder; whatever starts later in another shell
(status, a Dagster command) reads it there, below the environment, and so agrees with them.
"""

import os
import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self
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
_CAMPAIGN_FILE = "campaign.env"
_CAMPAIGN_FIELDS = ("lots", "rows", "every", "max_rejected_ratio", "hash_partitions", "api_url", "landing")


def _default_home() -> Path:
    """Return `.purchase` beside the project, or in the current folder where there is only the package."""
    project = Path(__file__).resolve().parent.parent
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / ".purchase"


def _require_postgres_url(secret: SecretStr) -> SecretStr:
    """Refuse what is no URL without quoting any of it: a password with a bare `@` or `/` is easily taken for a host."""
    try:
        url = sa.make_url(secret.get_secret_value())
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or not url.drivername.startswith("postgres") or _has_stray_at(secret.get_secret_value()):
        raise ValueError(
            "must be postgresql://user:password@host:port/database, "
            "with @ : / # % in the password as %40 %3A %2F %23 %25"
        )
    return secret


def _has_stray_at(url: str) -> bool:
    """Tell whether an `@` stands where it does not end user and password: what is before it is read in several ways.

    Such as `ana:a@b/c@host/db`: of password `a` and host `b` for libpq, which would print that host in its error.
    """
    authority, *rest = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)
    return authority.count("@") > 1 or "@" in "".join(rest)


def _require_http_url(url: str) -> str:
    """Refuse what a route cannot be appended to, without quoting any of it: a key may have been put in."""
    if fault := _fault_of(url):
        raise ValueError(f"must be http://host:port or https://host/path, but {fault}")
    return url


def _fault_of(url: str) -> str:
    """Return what keeps a text from being an API's URL; '' if nothing does."""
    if not url.isprintable() or " " in url:
        return "has a blank or a control character in it"
    if not re.match("https?://", url, re.IGNORECASE):
        return "begins with neither http:// nor https://"
    if "?" in url or "#" in url:
        return (
            "has a ? or #, and neither query nor fragment is sent to the API. "
            "A key goes before the host, https://user:key@host, with ? and # in it as %3F and %23"
        )
    try:
        port = urlsplit(url).port
        _HTTP_URL.validate_python(url)
    except ValueError:  # pydantic's too
        port = 0
    return "" if port != 0 else "its host or port is none; @ : / % in a user or password are %40 %3A %2F %25"


def _require_place(place: str) -> str:
    """Take a bucket's address as it is, and a folder's path from here; quote neither: a key may have been put in."""
    scheme, is_address, rest = place.partition("://")
    if not is_address:
        return str(Path(place).absolute())
    if scheme != "s3" or not rest.strip("/") or "@" in rest:
        raise ValueError("must be a folder's path, or s3://bucket/prefix, with the key in AWS_ACCESS_KEY_ID")
    return place


def _require_rate(rate: str) -> str:
    """Refuse what is no number of requests in a time."""
    if not re.fullmatch(r"[1-9]\d*/([1-9]\d*)?(second|minute|hour|day)", rate):
        raise ValueError("must be requests in a time: 600/minute, 10/second, 5/2second")
    return rate


def _split_hosts(hosts: str) -> tuple[str, ...]:
    """Take names separated by commas, and refuse what is an address with a path, or a pattern."""
    names = tuple(name.strip() for name in hosts.split(",") if name.strip())
    if not all(re.fullmatch(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", name) for name in names):
        raise ValueError("must be hosts, separated by commas: dagster.example.com,dagster.example.com:8443")
    return names


def _require_writable_name(path: Path) -> Path:
    """Refuse a path that no configuration file can name: it is written into several."""
    if not str(path).isprintable():  # neither is what is no UTF-8
        raise ValueError("must be a path in UTF-8 without control characters")
    return path.absolute()


_NUMBERS = {int: "a whole number", float: "a number"}
_HTTP_URL = TypeAdapter(HttpUrl)
_PostgresUrl = Annotated[SecretStr, AfterValidator(_require_postgres_url)]
_Rate = Annotated[str, AfterValidator(_require_rate)]


class Settings(BaseSettings):
    """What can be set, with what holds when it is not: `PURCHASE_LOTS`, `PURCHASE_HOME`, ... and `DATABASE_URL`."""

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
        description="PostgreSQL to load into; else an embedded one",
    )
    dagster_postgres_url: _PostgresUrl | None = Field(
        default=None,
        validation_alias="DAGSTER_POSTGRES_URL",
        description="Dagster's storage beside a given DATABASE_URL; else the database `dagster` of the same server",
    )
    # Not shown with the others: it may hold a password.
    api_url: Annotated[str, AfterValidator(_require_http_url)] = Field(
        default="http://127.0.0.1:8000", repr=False, description="Where the purchase API is"
    )
    api_rate: _Rate | None = Field(
        default=None,
        description="Most requests to the API, of all workers together: 600/minute; needs PURCHASE_REDIS_URL",
    )
    redis_url: SecretStr | None = Field(
        default=None, description="Redis that workers on several machines share: redis://host:6379/0"
    )
    lots: int = Field(default=50, ge=1, le=100_000, description="Number of lots wanted")
    rows: int = Field(default=10_000, ge=1, le=1_000_000, description="Rows in a lot")
    every: float = Field(default=5.0, ge=0.1, le=86_400, description="Seconds between two lots")
    max_rejected_ratio: float = Field(
        default=0.05, gt=0, le=1, description="Share of rejected rows at which a lot fails, whole"
    )
    hash_partitions: int | None = Field(
        default=None, ge=2, le=1024, description="Partitions, by the lot, of tables that do not exist yet"
    )
    home: Annotated[Path, AfterValidator(_require_writable_name)] = Field(
        default_factory=_default_home, description="Folder of all local state"
    )
    landing: Annotated[str, AfterValidator(_require_place)] | None = Field(
        default=None,
        description="Where raw lots land: a folder, or s3://bucket/prefix; else a folder of PURCHASE_HOME",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_hosts)] = Field(
        default=(),
        validate_default=False,
        description="Hosts of a reverse proxy before Dagster's UI: dagster.example.com",
    )

    @model_validator(mode="after")
    def _require_redis_for_a_rate(self) -> Self:
        if self.api_rate and not self.redis_url:
            raise ValueError(
                "PURCHASE_API_RATE is kept in Redis: set PURCHASE_REDIS_URL (redis://host:6379/0), too"
            )
        return self

    @property
    def lote_names(self) -> list[str]:
        """Names of the wanted lots, in order: `lote-0001`, `lote-0002`, ..."""
        return [f"lote-{number:04d}" for number in range(1, self.lots + 1)]

    @property
    def landing_place(self) -> str:
        """Where raw lots land: a folder's path, or a bucket's address."""
        return self.landing or str(self.home / "landing")

    @property
    def report_file(self) -> Path:
        """File of the sales report."""
        return self.home / "reports" / "sales-report.html"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder: its configuration and logs."""
        return self.home / "dagster"

    @property
    def postgres_home(self) -> Path:
        """Folder of the embedded PostgreSQL."""
        return self.home / "postgres"

    def is_given(self, field: str) -> bool:
        """Tell whether somebody set a field, rather than leave it at its default."""
        return field in self.model_fields_set

    def campaign(self) -> dict[str, str]:
        """Return, as environment variables, what the processes of one campaign must agree on."""
        given = ((name, getattr(self, name)) for name in _CAMPAIGN_FIELDS)
        values = {f"PURCHASE_{name.upper()}": str(value) for name, value in given if value is not None}
        return {**values, "PURCHASE_HOME": str(self.home)}

    def save(self) -> None:
        """Leave the campaign's settings for commands that start later; no secret is among them.

        Where the API asks for a password, who starts a Dagster command in another shell gives PURCHASE_API_URL again,
        as they give DATABASE_URL.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        values = {**self.campaign(), "PURCHASE_API_URL": _without_login(self.api_url)}
        del values[
            "PURCHASE_HOME"
        ]  # is where the file lies: a folder that is copied or moved is another home
        lines = [f"{name}={_quoted(value)}\n" for name, value in values.items()]
        file = self.home / _CAMPAIGN_FILE
        file.touch(mode=0o600)
        file.chmod(0o600)  # it may have been there before
        file.write_text("".join(lines), encoding="utf-8")


def _without_login(url: str) -> str:
    """Drop user and password, of which either may be a token."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _quoted(value: str) -> str:
    """Write a value so that python-dotenv reads the same again."""
    return "'{}'".format(value.replace("\\", r"\\").replace("'", r"\'"))


def new_settings(*, lots: int | None = None, rows: int | None = None, every: float | None = None) -> Settings:
    """Read the environment for a new campaign; what is given goes before it.

    Raises:
        pydantic.ValidationError: a value out of its bounds.
    """
    options: dict[str, Any] = {"lots": lots, "rows": rows, "every": every}
    return Settings(**{name: value for name, value in options.items() if value is not None})


@cache
def current_settings() -> Settings:
    """Read the environment, and below it the newest campaign's settings; once a process.

    Raises:
        pydantic.ValidationError: a value out of its bounds.
    """
    home = Settings().home
    return Settings(
        _env_file=home / _CAMPAIGN_FILE, home=home
    )  # some files name the home of before it was moved


def explained(error: ValidationError, options: Collection[str] = ()) -> str:
    """Return what is wrong with the settings, each by the name that it was given by: of an option, or a variable."""
    return "; ".join(_explained(fault, options) for fault in error.errors(include_url=False))


def _explained(fault: ErrorDetails, options: Collection[str]) -> str:
    if not fault["loc"]:  # of several settings together, and says which
        return fault["msg"].removeprefix("Value error, ")
    name = str(fault["loc"][0])
    field = Settings.model_fields.get(name)
    shown = f"--{name}" if name in options else name if field is None else f"PURCHASE_{name.upper()}"
    if field is None or field.annotation not in _NUMBERS:
        return f"{shown} {fault['msg'].removeprefix('Value error, ')}"
    return f"{shown} must be {_NUMBERS[field.annotation]}{_bounds(field.metadata)}"


def _bounds(metadata: Iterable[Any]) -> str:
    """Return the bounds of a number's field in words."""
    words = {"ge": "from", "gt": "above", "le": "to"}
    found = (
        (word, getattr(each, key)) for each in metadata for key, word in words.items() if hasattr(each, key)
    )
    return "".join(f" {word} {bound}" for word, bound in found)


def is_environment_variable(name: str) -> bool:
    """Tell whether a variable is set, and not to nothing."""
    return bool(os.environ.get(name))
