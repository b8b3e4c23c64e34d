"""Programs that tests start and that no Python package provides."""

import os
import shutil

import pytest


def program(*names: str, package: str) -> str:
    """Return the path of a program, by the first of its names that is found; skip the test without it.

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
