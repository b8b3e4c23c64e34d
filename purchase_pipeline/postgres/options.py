"""What an asset's metadata says of how it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal, get_args

import dagster as dg
import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.schema.drift import DriftPolicy
from purchase_pipeline.postgres.schema.models import columns_from_model

WriteMode = Literal["replace", "append", "upsert", "insert"]


@dataclass(frozen=True)
class WriteOptions:
    """How an asset is written.

    Attributes:
        write_mode: `replace` the slice; `append` to it; `upsert`: rows of the same keys are updated; or `insert`:
            rows whose keys are there already are left alone.
        upsert_keys: columns whose values tell one row from another.
        newest: of an upsert, the column that says which version of a row is newer; None: the one that comes last.
        schema_drift: what happens when the data's columns are not the table's.
        declared: the table as its author declares it, whatever the data look like; None: inferred.
        preview_rows: how many rows the materialization shows.
    """

    write_mode: WriteMode = "replace"
    upsert_keys: Sequence[str] = ()
    newest: str | None = None
    schema_drift: DriftPolicy = "freeze"
    declared: sa.Table | None = None
    preview_rows: int = 0

    @property
    def merges(self) -> bool:
        """Whether rows are told from one another by their keys."""
        return self.write_mode in ("upsert", "insert")

    def updated(self, metadata: Mapping[str, Any]) -> "WriteOptions":
        """Return the options as the asset's metadata change them.

        Raises:
            UnusableMetadataError: a value that is none of those possible, or keys that do not go with the mode.
        """
        changed = replace(
            self,
            write_mode=_one_of(WriteMode, "write_mode", metadata, self.write_mode),
            upsert_keys=_names("upsert_keys", metadata),
            newest=_newest(metadata),
            schema_drift=_one_of(DriftPolicy, "schema_drift", metadata, self.schema_drift),
            declared=_declared(metadata.get("row_model")),
            preview_rows=_count("preview_rows", metadata, self.preview_rows),
        )
        if changed.merges != bool(changed.upsert_keys):
            raise UnusableMetadataError(
                'Metadata "write_mode": "upsert" (or "insert") and "upsert_keys": ["column", ...] go together: '
                f"here are {changed.write_mode!r} and {list(changed.upsert_keys)!r}."
            )
        if changed.newest is not None and (
            changed.write_mode != "upsert" or changed.newest in changed.upsert_keys
        ):
            raise UnusableMetadataError(
                f'Metadata "newest" is {changed.newest!r}: it goes with "write_mode": "upsert", and is none of the '
                f"upsert_keys. Here are {changed.write_mode!r} and {list(changed.upsert_keys)!r}."
            )
        return changed


def _one_of(choice: Any, name: str, metadata: Mapping[str, Any], otherwise: Any) -> Any:  # noqa: ANN401
    value = metadata.get(name, otherwise)
    if value not in get_args(choice):
        raise UnusableMetadataError(
            f'Metadata "{name}" is {value!r}; it can be {", ".join(get_args(choice))}.'
        )
    return value


def _names(name: str, metadata: Mapping[str, Any]) -> Sequence[str]:
    value = metadata.get(name, ())
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(one, str) for one in names):
        raise UnusableMetadataError(f'Metadata "{name}" is {value!r}; it is a list of column names.')
    return tuple(dict.fromkeys(names))


def _newest(metadata: Mapping[str, Any]) -> str | None:
    value = metadata.get("newest")
    if value is not None and not isinstance(value, str):
        raise UnusableMetadataError(f'Metadata "newest" is {value!r}; it is a column name.')
    return value


def _count(name: str, metadata: Mapping[str, Any], otherwise: int) -> int:
    value = metadata.get(name, otherwise)
    if not isinstance(value, int) or value < 0:
        raise UnusableMetadataError(f'Metadata "{name}" is {value!r}; it is a number of rows.')
    return value


def _declared(said: object) -> sa.Table | None:
    """Return the table that `row_model` names: Dagster's metadata point to a class, and do not hold it."""
    if said is None:
        return None
    try:
        named = _imported(said)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnusableMetadataError(
            f'Metadata "row_model" is {said!r}, and cannot be imported: {error}.'
        ) from error
    if isinstance(named, sa.Table):
        return named
    if isinstance(named, type) and issubclass(named, BaseModel):
        return sa.Table("declared", sa.MetaData(), *columns_from_model(named))
    raise UnusableMetadataError(
        f'Metadata "row_model" names {named!r}; it is a pydantic model, as MetadataValue.python_artifact(Model), or '
        'the import path "package.module:NAME" of one, or of a SQLAlchemy Table.'
    )


def _imported(said: object) -> object:
    if isinstance(said, dg.PythonArtifactMetadataValue):
        return getattr(import_module(said.module), said.name)
    module, _, name = str(getattr(said, "value", said)).partition(":")
    return getattr(import_module(module), name)
