"""The formats of received content: how it is split into rows, and the media types that name them."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from purchase_pipeline.ingest.csv_rows import CsvSplitter
from purchase_pipeline.ingest.json_envelope import EnvelopeSplitter
from purchase_pipeline.ingest.row_splitter import ArraySplitter, LineSplitter, RowSplitter

_NDJSON_TYPE = re.compile(r"(application|text)/(x-)?(ndjson|jsonl|jsonlines|json-lines|ldjson)")
_JSON_TYPE = re.compile(r"(application|text)/(x-)?json|application/[\w.!#$&^+-]+\+json")
_CSV_TYPE = re.compile(r"(application|text)/(x-)?(csv|comma-separated-values)")


class _Format(BaseModel, frozen=True, extra="forbid"):
    """A format, stored in manifests."""


class NdJson(_Format):
    """One JSON value per line."""

    media_type: ClassVar = "application/x-ndjson"
    type: Literal["ndjson"] = "ndjson"

    def splitter(self) -> RowSplitter:
        """Return a new splitter. A leading byte order mark is skipped, also by those of the other formats."""
        return LineSplitter()


class Json(_Format):
    """A JSON array, or an object with an array at a path: `items`, `data.records`.

    Attributes:
        rows: path of the array; empty if the body itself is the array.
    """

    media_type: ClassVar = "application/json"
    type: Literal["json"] = "json"
    rows: str = ""

    def splitter(self) -> RowSplitter:
        """Return a new splitter."""
        return EnvelopeSplitter(self.rows) if self.rows else ArraySplitter()


class Csv(_Format):
    """Comma-separated values.

    Attributes:
        delimiter: one ASCII character.
        header: whether the first record has the columns' names; or the names, if it does not.
        encoding: of the text; None for the charset of the Content-Type, or else UTF-8.
    """

    media_type: ClassVar = "text/csv"
    type: Literal["csv"] = "csv"
    delimiter: str = ","
    header: Literal[True] | tuple[str, ...] = True
    encoding: str | None = None

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str) -> str:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise ValueError("must be one ASCII character, not a quote or line end")
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")  # fails for codecs that are not of texts, such as hex
            return encoding and codecs.lookup(encoding).name
        except (LookupError, UnicodeError) as error:
            raise ValueError("must be an encoding that Python knows: utf-8, latin-1, cp1252") from error

    def splitter(self) -> RowSplitter:
        """Return a new splitter."""
        header = None if self.header is True else self.header
        return CsvSplitter(self.delimiter, header, self.encoding or "utf-8")


RowFormat = Annotated[NdJson | Json | Csv, Field(discriminator="type")]
NDJSON, JSON_ARRAY = NdJson(), Json()


def format_of(content_type: str) -> NdJson | Json | Csv | None:
    """Return the format of a Content-Type, or None if it is not supported."""
    media_type = content_type.partition(";")[0].strip().lower()
    if _NDJSON_TYPE.fullmatch(media_type):
        return NDJSON
    if _CSV_TYPE.fullmatch(media_type):
        return Csv()
    return JSON_ARRAY if _JSON_TYPE.fullmatch(media_type) else None


def split_rows(row_format: RowFormat, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the raw text of each row, with one chunk and one row in memory.

    Raises:
        UnreadableResponseError: malformed or truncated content.
    """
    splitter = row_format.splitter()
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.close()
