"""A landing backend in an S3-compatible bucket, for workers on several machines.

A put is atomic, and there are no locks. A superseded object is kept for an hour, for readers that have just read its
name, and so that two writers of a batch do not remove each other's.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from tempfile import NamedTemporaryFile
from typing import IO, cast

from botocore.exceptions import BotoCoreError, ClientError
from s3fs import S3FileSystem

from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME, LandingUnavailableError

_STALE = timedelta(hours=1)
_BLOCK_BYTES = 8 << 20  # read-ahead; most batches fit in one request


class S3Backend:
    """Objects under `s3://bucket/prefix`. Credentials, region and endpoint come from the `AWS_...` variables.

    botocore retries requests, and sends a checksum with each put, which the store verifies.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._path = self._address.removeprefix(BUCKET_SCHEME)
        # No listings cache: other workers change the bucket.
        self._objects = S3FileSystem(use_listings_cache=False)

    def __str__(self) -> str:
        return self._address

    def address_of(self, name: str) -> str:
        """Return the object's URL."""
        return f"{self._address}/{name}"

    @contextmanager
    def staged_file(self) -> Iterator[IO[bytes]]:
        """Open a local temporary file: the object's name depends on its content."""
        with NamedTemporaryFile(prefix="purchase-pipeline-") as file:
            yield file

    def publish(self, file: IO[bytes], name: str) -> None:
        """Upload the file."""
        file.flush()
        try:
            with self._translated_errors(name):
                self._objects.put_file(file.name, self._key(name))
        except FileNotFoundError as error:
            raise LandingUnavailableError(
                f"{self.address_of(name)}: {error}.",
                hint="Create the bucket, or choose another one with PURCHASE_LANDING.",
            ) from error

    def read(self, name: str) -> bytes:
        """Get an object in a single request, as it may be replaced between two."""
        with self._translated_errors(name):
            return bytes(self._objects.cat_file(self._key(name)))

    def open(self, name: str) -> IO[bytes]:
        """Open an object, which is read in blocks."""
        how = {"block_size": _BLOCK_BYTES, "cache_type": "readahead"}
        with self._translated_errors(name):
            return cast("IO[bytes]", self._objects.open(self._key(name), "rb", **how))

    def exists(self, name: str) -> bool:
        """Return whether the object exists."""
        with self._translated_errors(name):
            return bool(self._objects.exists(self._key(name)))

    def names(self, suffix: str) -> list[str]:
        """Return the names of objects with this suffix."""
        with self._translated_errors(suffix):
            found = self._objects.find(self._path)
        return [key.rpartition("/")[2] for key in found if key.endswith(suffix)]

    def sizes(self, suffix: str) -> dict[str, int]:
        """Return the sizes of objects with this suffix."""
        with self._translated_errors(suffix):
            found = self._objects.find(self._path, detail=True)
        return {key.rpartition("/")[2]: facts["size"] for key, facts in found.items() if key.endswith(suffix)}

    def remove(self, name: str) -> None:
        """Delete an object; a bucket with versions keeps it as a noncurrent one."""
        with self._translated_errors(name), suppress(FileNotFoundError):
            self._objects.rm_file(self._key(name))

    def shared_lock(self) -> AbstractContextManager[None]:
        """Do nothing: a bucket has no locks."""
        return nullcontext()

    def exclusive_lock(self) -> AbstractContextManager[None]:
        """Do nothing: a bucket has no locks."""
        return nullcontext()

    def remove_superseded(self, prefix: str, suffix: str, keep: str) -> None:
        """Remove objects that are an hour older than the one that superseded them, by the store's clock."""
        with self._translated_errors(prefix):
            found = self._objects.find(self._path, prefix=prefix, detail=True)
            newest = found.pop(self._key(keep))
            for key, stale in found.items():
                if key.endswith(suffix) and newest["LastModified"] - stale["LastModified"] > _STALE:
                    self._objects.rm_file(key)

    @contextmanager
    def _translated_errors(self, name: str) -> Iterator[None]:
        """Translate errors of the store.

        Raises:
            FileNotFoundError: no such object, or no such bucket.
            LandingUnavailableError: any other error, with the object's URL.
        """
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, BotoCoreError, ClientError) as error:
            raise LandingUnavailableError(f"{self.address_of(name)}: {error}") from error

    def _key(self, name: str) -> str:
        return f"{self._path}/{name}"
