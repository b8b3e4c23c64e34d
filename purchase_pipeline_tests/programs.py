"""Programs that tests start, and that no package of Python's brings along."""

import os
import shutil

import pytest


def program(*names: str, package: str) -> str:
    """Return where a program is, by the first of its names that is found. Without it the test is skipped.

    Raises:
        FileNotFoundError: it is not there, and this is CI.
    """
    places = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    found = next(filter(None, (shutil.which(name, path=places) for name in names)), None)
    if found is None:
        missing = f"none of {', '.join(names)} is on the PATH (Debian: apt-get install {package})"
        if "CI" in os.environ:
            raise FileNotFoundError(missing)
        pytest.skip(missing)
    return found
