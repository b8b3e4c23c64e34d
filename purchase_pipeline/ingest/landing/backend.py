"""The interface of landing backends, implemented by a folder and a bucket."""

from contextlib import AbstractContextManager
from typing import IO, Protocol

from purchase_pipeline import PipelineError

BUCKET_SCHEME = "s3://"


class LandingUnavailableError(PipelineError):
    """The landing folder or bucket is not accessible."""

    transient = True


class Backend(Protocol):
    """Named files. A published file is complete and durable, and atomically replaces one of the same name."""

    def address_of(self, name: str) -> str:
        """Return the path or URL of a file."""

    def staged_file(self) -> AbstractContextManager[IO[bytes]]:
        """Open a local temporary file, deleted unless it is published."""

    def publish(self, file: IO[bytes], name: str) -> None:
        """Publish a staged file under a name."""

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            FileNotFoundError: the file does not exist.
        """

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading.

        Raises:
            FileNotFoundError: the file does not exist.
        """

    def exists(self, name: str) -> bool:
        """Return whether a file exists."""

    def names(self, suffix: str) -> list[str]:
        """Return the names of published files with this suffix."""

    def sizes(self, suffix: str) -> dict[str, int]:
        """Return the sizes in bytes of published files with this suffix, by name."""

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""

    def shared_lock(self) -> AbstractContextManager[None]:
        """Hold a shared lock on all files, if the backend has locks."""

    def exclusive_lock(self) -> AbstractContextManager[None]:
        """Hold an exclusive lock on all files, if the backend has locks."""

    def remove_superseded(self, prefix: str, suffix: str, keep: str) -> None:
        """Remove superseded files with this prefix and suffix, except `keep`, and leftovers of killed processes."""
