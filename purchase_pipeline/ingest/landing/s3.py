"""A bucket of an S3-speaking object store as the place of raw lots, for workers on several machines.

A put is whole or not at all, and there is no lock: a file that a new one replaces stays for an hour, so that whoever
has just read its name still finds it, and so that of two writers of a lot neither removes the other's.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from tempfile import NamedTemporaryFile
from typing import IO, cast

from botocore.exceptions import BotoCoreError, ClientError
from s3fs import S3FileSystem

from purchase_pipeline.ingest.landing.backend import BUCKET_SCHEME, LandingUnavailableError

_STALE = timedelta(hours=1)
_BLOCK_BYTES = 8 << 20  # read ahead: most lots are one request


class S3Backend:
    """Objects below an address, `s3://bucket/prefix`; access, region and endpoint are as `AWS_...` variables say.

    Requests are tried again, and what is put carries a checksum that the store compares: both are botocore's.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._path = self._address.removeprefix(BUCKET_SCHEME)
        # Without what it has listed before: others change the bucket, too.
        self._objects = S3FileSystem(use_listings_cache=False)

    def __str__(self) -> str:
        return self._address

    def address_of(self, name: str) -> str:
        """Return the object's address."""
        return f"{self._address}/{name}"

    @contextmanager
    def arriving(self) -> Iterator[IO[bytes]]:
        """Open a temporary file of this machine: an object's name is known only when all of it is there."""
        with NamedTemporaryFile(prefix="purchase-pipeline-") as file:
            yield file

    def keep(self, file: IO[bytes], name: str) -> None:
        """Put the file."""
        file.flush()
        with self._answering(name):
            self._objects.put_file(file.name, self._key(name))

    def read(self, name: str) -> bytes:
        """Get an object in one request: it may give way to another between two."""
        with self._answering(name):
            return bytes(self._objects.cat_file(self._key(name)))

    def open(self, name: str) -> IO[bytes]:
        """Open an object; it is read in blocks, each of which the store must still have."""
        how = {"block_size": _BLOCK_BYTES, "cache_type": "readahead"}
        with self._answering(name):
            return cast("IO[bytes]", self._objects.open(self._key(name), "rb", **how))

    def has(self, name: str) -> bool:
        """Ask for an object's head."""
        with self._answering(name):
            return bool(self._objects.exists(self._key(name)))

    def looking(self) -> AbstractContextManager[None]:
        """Hold nothing: see above."""
        return nullcontext()

    def changing(self) -> AbstractContextManager[None]:
        """Hold nothing: see above."""
        return nullcontext()

    def clear(self, prefix: str, suffix: str, but: str) -> None:
        """Remove those that are an hour older than the one that took their place, by the store's own clock."""
        with self._answering(prefix):
            found = self._objects.find(self._path, prefix=prefix, detail=True)
            ours = found.pop(self._key(but))
            for key, stale in found.items():
                if key.endswith(suffix) and ours["LastModified"] - stale["LastModified"] > _STALE:
                    self._objects.rm_file(key)

    @contextmanager
    def _answering(self, name: str) -> Iterator[None]:
        """Say what it was about where the store, asked again and again, does not do it.

        Raises:
            FileNotFoundError: there is no such object, or no such bucket.
            LandingUnavailableError: anything else.
        """
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, BotoCoreError, ClientError) as error:
            raise LandingUnavailableError(f"{self.address_of(name)}: {error}") from error

    def _key(self, name: str) -> str:
        return f"{self._path}/{name}"
