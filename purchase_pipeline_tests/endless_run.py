"""A test that does not end, with a server and a service: test_leftovers.py runs and interrupts it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import sleep

import psycopg


def test_that_waits_to_be_interrupted(server_url: str) -> None:
    # Away from the terminal, as services are.
    words = [sys.executable, "-m", "uvicorn", "--factory", "mock_api.app:create_app", "--port", "0"]
    api = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    with psycopg.connect(server_url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    server = int(Path(row[0], "postmaster.pid").read_text().split()[0])
    started = {"pids": [os.getpid(), api.pid, server], "folder": str(Path(row[0]).parent)}
    staged = Path(os.environ["STARTED"]).with_suffix(".staged")
    staged.write_text(json.dumps(started))
    staged.rename(os.environ["STARTED"])
    sleep(300)
