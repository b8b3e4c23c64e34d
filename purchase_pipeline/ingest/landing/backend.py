"""Where raw lots land: what a folder and a bucket have in common."""

from contextlib import AbstractContextManager
from typing import IO, Protocol

from purchase_pipeline.errors import PipelineError

BUCKET_SCHEME = "s3://"


class LandingUnavailableError(PipelineError):
    """The place of raw lots does not answer, or lets nobody in."""

    transient = True


class Backend(Protocol):
    """Files by name. A file that is kept is there whole, and for good; one of the same name gives way in one step."""

    def address_of(self, name: str) -> str:
        """Return where a person finds a file."""

    def arriving(self) -> AbstractContextManager[IO[bytes]]:
        """Open a file on this machine's disk that goes away again unless it is kept."""

    def keep(self, file: IO[bytes], name: str) -> None:
        """Give a written file its name."""

    def read(self, name: str) -> bytes:
        """Return a small file's bytes.

        Raises:
            FileNotFoundError: there is none.
        """

    def open(self, name: str) -> IO[bytes]:
        """Open a file to be read from its beginning.

        Raises:
            FileNotFoundError: there is none.
        """

    def has(self, name: str) -> bool:
        """Tell whether there is a file of that name."""

    def looking(self) -> AbstractContextManager[None]:
        """Look at several files while nobody changes them, where that can be had."""

    def changing(self) -> AbstractContextManager[None]:
        """Change several files while nobody looks at them, nor changes them, where that can be had."""

    def clear(self, prefix: str, suffix: str, but: str) -> None:
        """Remove the files of such names that nobody needs, but for one; and what killed processes left behind."""
