"""How an output is written, as metadata of its definition and of the run say."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, get_args

import dagster as dg
import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.schema.drift import DriftPolicy
from purchase_pipeline.postgres.schema.models import columns_from_model

WriteMode = Literal["replace", "append", "upsert", "insert"]
DuplicateKeys = Literal["refuse", "merge"]

_OPTIONS = (
    "write_mode",
    "upsert_keys",
    "newest",
    "cursor",
    "duplicate_keys",
    "upsert_ignores",
    "schema_drift",
    "row_model",
    "preview_rows",
    "hash_partitions",
)
_MERGING = ("upsert", "insert")
_DEFINITION_OPTIONS = ("partition_expr", "schema", "table")
_SIMILAR = 0.85  # difflib ratio: one or two letters differ
_ROWS, _PARTITIONS = range(sys.maxsize), range(2, 1025)


@dataclass(frozen=True)
class WriteOptions:
    """How an asset is written.

    Attributes:
        write_mode: `replace` the slice; `append` to it; `upsert`: update rows with the same keys, insert others;
            `insert`: skip rows whose keys exist.
        upsert_keys: columns that identify a row.
        newest: for upserts, the column that orders versions of a row; None: the last one written wins.
        cursor: for upserts and inserts, the column whose greatest value so far the ledger keeps.
        duplicate_keys: for upserts and inserts of several rows with the same key: `refuse` them; `merge` them as if
            they came one after the other.
        upsert_ignores: for upserts, columns that alone do not make a row different.
        schema_drift: what to do when the data's columns differ from the table's.
        declared: the declared table, which the data must match; None: inferred.
        preview_rows: rows to show in the materialization.
        hash_partitions: number of hash partitions for a new table; 0: not partitioned.
    """

    write_mode: WriteMode = "replace"
    upsert_keys: Sequence[str] = ()
    newest: str | None = None
    cursor: str | None = None
    duplicate_keys: DuplicateKeys = "refuse"
    upsert_ignores: Sequence[str] = ()
    schema_drift: DriftPolicy = "freeze"
    declared: sa.Table | None = None
    preview_rows: int = 0
    hash_partitions: int = 0

    @property
    def merges(self) -> bool:
        """Whether rows are matched by their keys."""
        return self.write_mode in _MERGING

    def updated(
        self, definition: Mapping[str, Any], output: Mapping[str, Any] = MappingProxyType({})
    ) -> "WriteOptions":
        """Return the options updated by the definition's metadata, then by this output's.

        Raises:
            UnusableMetadataError: an unknown name, an invalid value, keys that do not match the mode, or an option that
                an output cannot set because inputs read it from the definition.
        """
        metadata = {**_options_in(definition), **_output_options(_options_in(output), definition)}
        changed = replace(
            self,
            write_mode=_one_of(WriteMode, "write_mode", metadata, self.write_mode),
            upsert_keys=_names("upsert_keys", metadata),
            newest=_column("newest", metadata),
            cursor=_column("cursor", metadata),
            duplicate_keys=_one_of(DuplicateKeys, "duplicate_keys", metadata, self.duplicate_keys),
            upsert_ignores=_names("upsert_ignores", metadata),
            schema_drift=_one_of(DriftPolicy, "schema_drift", metadata, self.schema_drift),
            declared=_declared(metadata["row_model"]) if "row_model" in metadata else self.declared,
            preview_rows=_number("preview_rows", metadata, self.preview_rows, "rows", _ROWS),
            hash_partitions=_number(
                "hash_partitions", metadata, self.hash_partitions, "partitions, 2 to 1,024", _PARTITIONS
            ),
        )
        if changed.merges != bool(changed.upsert_keys):
            raise UnusableMetadataError(
                'Metadata "write_mode": "upsert" (or "insert") and "upsert_keys": ["column", ...] go together; '
                f"got {changed.write_mode!r} and {list(changed.upsert_keys)!r}."
            )
        if changed.newest is not None and (
            changed.write_mode != "upsert" or changed.newest in changed.upsert_keys
        ):
            raise UnusableMetadataError(
                f'Metadata "newest" is {changed.newest!r}; it requires "write_mode": "upsert", and cannot be one of '
                f"upsert_keys. Got {changed.write_mode!r} and {list(changed.upsert_keys)!r}."
            )
        if changed.cursor is not None and not changed.merges:
            raise UnusableMetadataError(
                f'Metadata "cursor" is {changed.cursor!r}; it requires "write_mode": "upsert" or "insert". '
                f"Got {changed.write_mode!r}."
            )
        return changed

    def of_companion(self, write_mode: WriteMode | None, upsert_keys: Sequence[str]) -> "WriteOptions":
        """Return the options of a companion table, whose columns are others.

        Args:
            write_mode: its own, or None for the asset's.
            upsert_keys: its own, or none for the asset's.
        """
        mode = write_mode or self.write_mode
        merges = mode in _MERGING
        return replace(
            self,
            write_mode=mode,
            upsert_keys=tuple(upsert_keys or self.upsert_keys) if merges else (),
            newest=self.newest if mode == "upsert" else None,
            cursor=None,
            declared=None,
        )


def _options_in(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in the metadata, unwrapped; a misspelt one is an error."""
    for name in metadata.keys() - {*_OPTIONS, *_DEFINITION_OPTIONS}:
        if (meant := _option_like(name)) is not None:
            raise UnusableMetadataError(
                f'Unknown metadata "{name}". Did you mean "{meant}"? Otherwise rename it.'
            )
    return {
        name: _unwrapped(metadata[name]) for name in (*_OPTIONS, *_DEFINITION_OPTIONS) if name in metadata
    }


@cache
def _option_like(name: str) -> str | None:
    spelled = name.lower().replace("-", "_").replace(" ", "_")
    meant = get_close_matches(spelled, [*_OPTIONS, "partition_expr"], n=1, cutoff=_SIMILAR)
    return meant[0] if meant else None


def _unwrapped(value: object) -> object:
    """Return the value of Dagster's metadata wrappers, except for references to classes."""
    plain = isinstance(value, dg.MetadataValue) and not isinstance(value, dg.PythonArtifactMetadataValue)
    return value.value if plain else value  # type: ignore[attr-defined]


def _output_options(output: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    for name in _DEFINITION_OPTIONS:
        # "schema" may also be a TableSchema that users attach.
        said = None if isinstance(output.get(name), dg.TableSchema) else output.get(name)
        if said not in (None, _unwrapped(definition.get(name))):
            raise UnusableMetadataError(
                f'Metadata "{name}" of an output is {said!r}; it must be set in the definition, '
                f"@asset(metadata={{{name!r}: ...}}), where inputs that read the table look for it."
            )
    options = {name: output[name] for name in _OPTIONS if name in output}
    if options.get("write_mode", "upsert") != "upsert":
        options.setdefault("upsert_keys", ())  # the definition's keys belong to its own mode
    return options


def _one_of(choice: Any, name: str, metadata: Mapping[str, Any], otherwise: Any) -> Any:  # noqa: ANN401
    value = metadata.get(name, otherwise)
    if value not in get_args(choice):
        raise UnusableMetadataError(
            f'Metadata "{name}" is {value!r}; expected one of {", ".join(get_args(choice))}.'
        )
    return value


def _names(name: str, metadata: Mapping[str, Any]) -> Sequence[str]:
    value = metadata.get(name, ())
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(one, str) for one in names):
        raise UnusableMetadataError(f'Metadata "{name}" is {value!r}; expected a list of column names.')
    return tuple(dict.fromkeys(names))


def _column(name: str, metadata: Mapping[str, Any]) -> str | None:
    value = metadata.get(name)
    if value is not None and not isinstance(value, str):
        raise UnusableMetadataError(f'Metadata "{name}" is {value!r}; expected a column name.')
    return value


def _number(name: str, metadata: Mapping[str, Any], otherwise: int, kind: str, possible: range) -> int:
    value = metadata.get(name, otherwise)
    if isinstance(value, int) and not isinstance(value, bool) and (value in possible or value == otherwise):
        return value
    raise UnusableMetadataError(f'Metadata "{name}" is {value!r}; expected a number of {kind}.')


def _declared(said: object) -> sa.Table | None:
    """Return the table that `row_model` refers to: Dagster's metadata hold references to classes, not classes."""
    if said is None:
        return None
    try:
        named = _imported(said)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnusableMetadataError(
            f'Metadata "row_model" is {said!r}, which cannot be imported: {error}.'
        ) from error
    if isinstance(named, sa.Table):
        return named
    if isinstance(named, type) and issubclass(named, BaseModel):
        return sa.Table("declared", sa.MetaData(), *columns_from_model(named))
    raise UnusableMetadataError(
        f'Metadata "row_model" is {named!r}; expected a pydantic model, as MetadataValue.python_artifact(Model), or '
        'the import path "package.module:NAME" of a model or SQLAlchemy Table.'
    )


def _imported(said: object) -> object:
    if isinstance(said, dg.PythonArtifactMetadataValue):
        return getattr(import_module(said.module), said.name)
    module, _, name = str(getattr(said, "value", said)).partition(":")
    return getattr(import_module(module), name)
