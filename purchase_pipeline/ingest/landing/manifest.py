"""The manifest of a landed lot: what is known of it, in a small JSON file that shows when it was damaged."""

import hashlib
from datetime import UTC, date
from typing import Self

from pydantic import AwareDatetime, BaseModel, ValidationError, model_validator

from purchase_pipeline.ingest.row_splitter import RawFormat

_SUFFIX = ".zst"
_CHECKSUM = b',\n  "checksum": "sha256:%b"\n}'  # takes the place of the closing brace
_BEFORE, _AFTER = _CHECKSUM.split(b"%b")
_END = b"\n}"


class LandedLote(BaseModel, frozen=True, extra="forbid"):
    """What is known of a lot that has landed.

    `refused`: too many of its rows broke the contract for the lot to be loaded, so it is worth asking for again.
    """

    lote: str
    rows: int
    raw_format: RawFormat
    digest: str
    raw_bytes: int
    file_name: str
    received_at: AwareDatetime
    refused: bool = False

    @property
    def received_on(self) -> date:
        """The day, in UTC, that no purchase may be later than, whenever it is validated."""
        return self.received_at.astimezone(UTC).date()

    @model_validator(mode="after")
    def _names_its_own_file(self) -> Self:
        if self.file_name != file_name_of(self.lote, self.digest):
            raise ValueError(f"{self.file_name} is not the file of {self.lote} with {self.digest}")
        return self


def file_name_of(lote: str, digest: str) -> str:
    """Return the name of the file that holds a lot's bytes, which says whose and which they are."""
    return f"{lote}.{digest.removeprefix('sha256:')[:16]}{_SUFFIX}"


def manifest_of(landed: LandedLote) -> bytes:
    """Return the manifest's bytes: JSON for whoever reads it, with a checksum of all that comes before."""
    text = landed.model_dump_json(indent=2).encode()
    return text.removesuffix(_END) + _CHECKSUM % _checksum(text.removesuffix(_END))


def landed_by(manifest: bytes, lote: str) -> LandedLote | None:
    """Return what a lot's manifest says; None if it is damaged, or another lot's.

    One without a checksum is of an older version, and is believed where it agrees with its own names.
    """
    text, found, checksum = manifest.rpartition(_BEFORE)
    if found:
        if checksum != _checksum(text) + _AFTER:
            return None
        manifest = text + _END
    try:
        landed = LandedLote.model_validate_json(manifest)
    except ValidationError:
        return None
    return landed if landed.lote == lote else None


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()
