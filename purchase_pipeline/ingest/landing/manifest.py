"""The manifest of a landed batch: a small JSON file with a checksum."""

import hashlib
from datetime import UTC, date
from typing import Self

from pydantic import AwareDatetime, BaseModel, ValidationError, model_validator

from purchase_pipeline.ingest.row_splitter import RawFormat

_SUFFIX = ".zst"
_CHECKSUM = b',\n  "checksum": "sha256:%b"\n}'  # replaces the closing brace
_BEFORE, _AFTER = _CHECKSUM.split(b"%b")
_END = b"\n}"


class LandedLote(BaseModel, frozen=True, extra="forbid"):
    """A landed batch.

    `refused`: it had too many rejected rows to be loaded, so the next run requests it again.
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
        """The day of receipt in UTC: the latest valid date of a purchase, even if validated later."""
        return self.received_at.astimezone(UTC).date()

    @model_validator(mode="after")
    def _names_its_own_file(self) -> Self:
        if self.file_name != file_name_of(self.lote, self.digest):
            raise ValueError(
                f"{self.file_name} is not the file name of {self.lote} with digest {self.digest}"
            )
        return self


def file_name_of(lote: str, digest: str) -> str:
    """Return the name of a batch's file, from its name and digest."""
    return f"{lote}.{digest.removeprefix('sha256:')[:16]}{_SUFFIX}"


def manifest_of(landed: LandedLote) -> bytes:
    """Return the manifest as JSON that ends with a checksum of what precedes it."""
    text = landed.model_dump_json(indent=2).encode()
    return text.removesuffix(_END) + _CHECKSUM % _checksum(text.removesuffix(_END))


def landed_by(manifest: bytes, lote: str) -> LandedLote | None:
    """Parse a batch's manifest; None if it is damaged, or belongs to another batch.

    Manifests of older versions have no checksum; they are accepted if they are consistent.
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
