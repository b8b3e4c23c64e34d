"""Settings: the one place that reads the environment.

`up` and `ingest` write what they run with to `campaign.env` in the home folder; whatever starts later in another shell
(status, a Dagster command) reads it there, below the environment, and so agrees with them.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DATABASE_NAME = "etl_fakedata"
_CAMPAIGN_FILE = "campaign.env"
_CAMPAIGN_FIELDS = ("lots", "rows", "every", "max_rejected_ratio", "api_url")


def _default_home() -> Path:
    """Return `.purchase` beside the project, or in the current folder where there is only the package."""
    project = Path(__file__).resolve().parent.parent
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / ".purchase"


class Settings(BaseSettings):
    """What can be set, with what holds when it is not: `PURCHASE_LOTS`, `PURCHASE_HOME`, ... and `DATABASE_URL`."""

    model_config = SettingsConfigDict(
        env_prefix="PURCHASE_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL to load into; else an embedded one",
    )
    api_url: str = Field(default="http://127.0.0.1:8000", description="Where the purchase API is")
    lots: int = Field(default=50, ge=1, le=100_000, description="Number of lots wanted")
    rows: int = Field(default=10_000, ge=1, le=1_000_000, description="Rows in a lot")
    every: float = Field(default=5.0, ge=0.1, le=86_400, description="Seconds between two lots")
    max_rejected_ratio: float = Field(
        default=0.05, gt=0, le=1, description="Share of rejected rows at which a lot fails, whole"
    )
    home: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        default_factory=_default_home, description="Folder of all local state"
    )

    @property
    def lote_names(self) -> list[str]:
        """Names of the wanted lots, in order: `lote-0001`, `lote-0002`, ..."""
        return [f"lote-{number:04d}" for number in range(1, self.lots + 1)]

    @property
    def landing_folder(self) -> Path:
        """Folder of the raw lots."""
        return self.home / "landing"

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
        values = {f"PURCHASE_{name.upper()}": str(getattr(self, name)) for name in _CAMPAIGN_FIELDS}
        return {**values, "PURCHASE_HOME": str(self.home)}

    def write_campaign(self) -> None:
        """Leave the campaign's settings for commands that start later."""
        self.home.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={_quoted(value)}\n" for name, value in self.campaign().items()]
        file = self.home / _CAMPAIGN_FILE
        file.touch(mode=0o600)  # the API's URL may hold a password
        file.write_text("".join(lines))


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
    """Read the environment, and below it the newest campaign's settings; once a process."""
    return Settings(_env_file=Settings().home / _CAMPAIGN_FILE)


def is_environment_variable(name: str) -> bool:
    """Tell whether a variable is set, and not to nothing."""
    return bool(os.environ.get(name))
