"""Values that are read when a source is used: secrets and addresses by the name of their environment variable."""

import os
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from purchase_pipeline import PipelineError


@runtime_checkable
class Deferred(Protocol):
    """A value that is read when it is used, such as `dagster.EnvVar`."""

    def get_value(self) -> str | None:
        """Return the value; None if it is not set."""


@dataclass(frozen=True)
class Known:
    """A value that is known already, with the name of the variable that it came from."""

    env_var_name: str
    value: str = field(repr=False)

    def get_value(self) -> str:
        """Return the value."""
        return self.value


class MissingVariableError(PipelineError):
    """An environment variable that a source needs is not set, or not usable."""


def secret(name: str | Deferred) -> str:
    """Return the value of an environment variable.

    Raises:
        MissingVariableError: it is not set.
    """
    return _required(name, name.get_value() if isinstance(name, Deferred) else os.environ.get(name))


def address(url: str | Deferred) -> str:
    """Return an address that is given as such or by variable.

    Raises:
        MissingVariableError: the variable is not set.
    """
    return secret(url) if name_of_variable(url) else str(url)


def name_of_variable(value: str | Deferred) -> str:
    """Return the name of the environment variable of an address; empty if it is the address itself."""
    plain = value if isinstance(value, str) and "://" not in value else ""
    return str(getattr(value, "env_var_name", plain))


def _required(name: str | Deferred, value: str | None) -> str:
    if value and (value := value.strip()).isprintable():
        return value
    shown = name_of_variable(name) or (name if isinstance(name, str) else type(name).__name__)
    problem = "has control characters" if value else "is not set"
    raise MissingVariableError(f"The environment variable {shown} {problem}.", hint="Set it, and try again.")
