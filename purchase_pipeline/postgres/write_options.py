"""What metadata says of how an output is written: of its definition, and of the one run."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
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

_OPTIONS = (
    "write_mode",
    "upsert_keys",
    "newest",
    "schema_drift",
    "row_model",
    "preview_rows",
    "hash_partitions",
)
_DEFINITION_OPTIONS = ("partition_expr", "schema", "table")
_ARROW_CLASSES = 0.85  # of difflib's ratio: one or two letters
_ROWS, _PARTITIONS = range(sys.maxsize), range(2, 1025)


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
        hash_partitions: in how many of PostgreSQL's own partitions a table is created; 0: in none.
    """

    write_mode: WriteMode = "replace"
    upsert_keys: Sequence[str] = ()
    newest: str | None = None
    schema_drift: DriftPolicy = "freeze"
    declared: sa.Table | None = None
    preview_rows: int = 0
    hash_partitions: int = 0

    @property
    def merges(self) -> bool:
        """Whether rows are told from one another by their keys."""
        return self.write_mode in ("upsert", "insert")

    def updated(
        self, definition: Mapping[str, Any], output: Mapping[str, Any] = MappingProxyType({})
    ) -> "WriteOptions":
        """Return the options as the metadata of the definition change them, and then those of this one output.

        Raises:
            UnusableMetadataError: a name or value that is none of those possible, keys that do not go with the mode, or
                what an output cannot say, for the inputs that read it go by the definition.
        """
        metadata = {**_options_in(definition), **_output_options(_options_in(output), definition)}
        changed = replace(
            self,
            write_mode=_one_of(WriteMode, "write_mode", metadata, self.write_mode),
            upsert_keys=_names("upsert_keys", metadata),
            newest=_newest(metadata),
            schema_drift=_one_of(DriftPolicy, "schema_drift", metadata, self.schema_drift),
            declared=_declared(metadata.get("row_model")),
            preview_rows=_number("preview_rows", metadata, self.preview_rows, "rows", _ROWS),
            hash_partitions=_number(
                "hash_partitions", metadata, self.hash_partitions, "partitions, 2 to 1,024", _PARTITIONS
            ),
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


def _options_in(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options among metadata, out of Dagster's wrapping; a misspelt one is refused, not passed over."""
    for name in metadata.keys() - {*_OPTIONS, *_DEFINITION_OPTIONS}:
        spelled = name.lower().replace("-", "_").replace(" ", "_")
        if meant := get_close_matches(spelled, [*_OPTIONS, "partition_expr"], n=1, cutoff=_ARROW_CLASSES):
            raise UnusableMetadataError(
                f'Metadata "{name}" is no option of the IO manager. Write "{meant[0]}", or give it another name.'
            )
    return {
        name: _unwrapped(metadata[name]) for name in (*_OPTIONS, *_DEFINITION_OPTIONS) if name in metadata
    }


def _unwrapped(value: object) -> object:
    """Return what `Output` metadata wrap, but for what points to a class."""
    plain = isinstance(value, dg.MetadataValue) and not isinstance(value, dg.PythonArtifactMetadataValue)
    return value.value if plain else value  # type: ignore[attr-defined]


def _output_options(output: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    for name in _DEFINITION_OPTIONS:
        # Some attach a table's columns under the name of "schema".
        said = None if isinstance(output.get(name), dg.TableSchema) else output.get(name)
        if said not in (None, _unwrapped(definition.get(name))):
            raise UnusableMetadataError(
                f'Metadata "{name}" of an output is {said!r}; it can be said in the definition alone, '
                f"@asset(metadata={{{name!r}: ...}}), for that is where an input that reads the table looks."
            )
    options = {name: output[name] for name in _OPTIONS if name in output}
    if options.get("write_mode", "upsert") != "upsert":
        options.setdefault("upsert_keys", ())  # those of the definition go with its own mode
    return options


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


def _number(name: str, metadata: Mapping[str, Any], otherwise: int, kind: str, possible: range) -> int:
    value = metadata.get(name, otherwise)
    if isinstance(value, int) and not isinstance(value, bool) and (value in possible or value == otherwise):
        return value
    raise UnusableMetadataError(f'Metadata "{name}" is {value!r}; it is a number of {kind}.')


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
