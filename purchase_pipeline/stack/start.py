"""Starts a program without garbage collection of its imports: `python -m purchase_pipeline.stack.start MODULE ...`.

What modules define stays for as long as the process, so collections find nothing in it: they took a third of the CPU
time in which a command or a service starts, and ends.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def importing() -> Iterator[None]:
    """Import without garbage collection, and leave what is there out of later ones."""
    # Arrow's own memory pool holds 8 MiB more, and has a thread, which a fork would inherit.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def main() -> None:
    """Import the module that the first argument names, and run its `main` with the others."""
    name = sys.argv.pop(1)
    with importing():
        module = import_module(name)
    module.main()


if __name__ == "__main__":
    main()
