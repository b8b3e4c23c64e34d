"""The manifest of a landed partition: a small JSON file with a checksum."""

import hashlib
import re
from datetime import UTC, date
from typing import Any, Self
from urllib.parse import quote

from pydantic import AliasChoices, AwareDatetime, BaseModel, Field, ValidationError, model_validator

from purchase_pipeline.ingest.formats import RowFormat, format_of

FILE_SUFFIX = ".zst"
_PLAIN_NAME = re.compile(r"[\w-]{1,100}")
_LONGEST_NAME_BYTES = 200  # a file system's limit is 255, with the digest and suffixes
_EMPTY_NAME = "%"  # never the result of percent-encoding, like "%~"
_CHECKSUM = b',\n  "checksum": "sha256:%b"\n}'  # replaces the closing brace
_BEFORE, _AFTER = _CHECKSUM.split(b"%b")
_END = b"\n}"


class LandedPage(BaseModel, frozen=True, extra="forbid"):
    """One page of a landed partition: a compressed frame of its own.

    Attributes:
        variables: values that are known from the request only, for each of its rows.
        envelope: the JSON around its rows, without them; not stored.
    """

    format: RowFormat
    rows: int
    raw_bytes: int
    variables: dict[str, str] = {}
    envelope: Any = Field(default=None, exclude=True, repr=False)


class LandedPartition(BaseModel, frozen=True, extra="forbid"):
    """A landed partition.

    Attributes:
        digest: SHA-256 of the pages' content, one after the other.
        refused: it had too many rejected rows to be loaded, so the next run requests it again.
        pruned_at: when its file was deleted because of its age; the manifest stays.
    """

    partition: str = Field(validation_alias=AliasChoices("partition", "lote"))
    rows: int
    pages: tuple[LandedPage, ...]
    digest: str
    raw_bytes: int
    file_name: str
    received_at: AwareDatetime
    refused: bool = False
    pruned_at: AwareDatetime | None = None

    @property
    def media_type(self) -> str:
        """The media types of the pages; almost always one."""
        return ", ".join(dict.fromkeys(page.format.media_type for page in self.pages)) or "none"

    @property
    def received_on(self) -> date:
        """The day of receipt in UTC: the latest valid date of a purchase, even if validated later."""
        return self.received_at.astimezone(UTC).date()

    @model_validator(mode="before")
    @classmethod
    def _with_pages(cls, manifest: Any) -> Any:  # noqa: ANN401
        """Accept the manifests of older versions: one page, with its format as a media type."""
        if not isinstance(manifest, dict) or "raw_format" not in manifest:
            return manifest
        manifest = dict(manifest)
        page = {
            "format": format_of(str(manifest.pop("raw_format"))),
            "rows": manifest.get("rows"),
            "raw_bytes": manifest.get("raw_bytes"),
        }
        return manifest | {"pages": [page]}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.rows != sum(page.rows for page in self.pages):
            raise ValueError("the pages have another number of rows")
        if self.raw_bytes != sum(page.raw_bytes for page in self.pages):
            raise ValueError("the pages have another number of bytes")
        if self.file_name != file_name_of(self.partition, self.digest):
            raise ValueError(
                f"{self.file_name} is not the file name of {self.partition} with digest {self.digest}"
            )
        return self


def name_of(partition: str) -> str:
    """Return the name of a partition's files: the key itself if it is plain, else percent-encoded.

    A key that is too long as a name is cut, with a digest of the whole; the manifest has the key itself.
    """
    if _PLAIN_NAME.fullmatch(partition) and len(partition.encode()) <= _LONGEST_NAME_BYTES:
        return partition
    # A dot separates the name from the digest and the suffix.
    name = quote(partition, safe="").replace(".", "%2E") or _EMPTY_NAME
    if len(name) <= _LONGEST_NAME_BYTES:
        return name
    digest = hashlib.sha256(partition.encode()).hexdigest()
    return f"{name[: _LONGEST_NAME_BYTES - len(digest)]}%~{digest}"


def file_name_of(partition: str, digest: str) -> str:
    """Return the name of a partition's file, from its key and digest."""
    return f"{name_of(partition)}.{digest.removeprefix('sha256:')[:16]}{FILE_SUFFIX}"


def manifest_of(landed: LandedPartition) -> bytes:
    """Return the manifest as JSON that ends with a checksum of what precedes it."""
    # Older versions, which may share the landing, refuse a manifest with a field that they do not know.
    unset = None if landed.pruned_at else {"pruned_at"}
    text = landed.model_dump_json(indent=2, exclude=unset).encode()
    return text.removesuffix(_END) + _CHECKSUM % _checksum(text.removesuffix(_END))


def landed_by(manifest: bytes, partition: str) -> LandedPartition | None:
    """Parse a partition's manifest; None if it is damaged, or belongs to another partition.

    Manifests of older versions have no checksum; they are accepted if they are consistent.
    """
    text, found, checksum = manifest.rpartition(_BEFORE)
    if found:
        if checksum != _checksum(text) + _AFTER:
            return None
        manifest = text + _END
    try:
        landed = LandedPartition.model_validate_json(manifest)
    except ValidationError:
        return None
    return landed if landed.partition == partition else None


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()
