"""The API holds to its own OpenAPI, whatever schemathesis makes of that: no 500, no exception, nothing undocumented."""

import logging
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mock_api.app import create_app
from purchase_pipeline_tests.serving import served

PROJECT = Path(__file__).parent.parent
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "25")
"""Random requests for each route, besides the bounds' own and the examples."""


class CountedStatuses:
    """Passes requests on to an application, and counts the statuses of its answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.statuses = Counter[int]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, counted_send)


def schemathesis_run(url: str, folder: Path, config: str, *options: str) -> str:
    """Run schemathesis in a process of its own, with all its checks; return what it printed, which ends well."""
    (folder / "schemathesis.toml").write_text(f'hooks = "purchase_pipeline_tests.short_lots"\n{config}')
    program = str(Path(sys.executable).parent / "schemathesis")
    done = subprocess.run(
        [
            program,
            "run",
            f"{url}/openapi.json",
            "--checks",
            "all",
            "--max-examples",
            EXAMPLES,
            "--generation-deterministic",
            "--no-color",
            *options,
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.proof
@pytest.mark.parametrize(
    ("accept", "config"),
    [
        # Rows broken on demand break an array's schema, on purpose.
        ("application/json", '[parameters]\n"query.defects" = 0\n'),
        ("application/x-ndjson", ""),
    ],
    ids=["array", "lines with defects"],
)
def test_no_request_that_openapi_suggests_is_answered_otherwise_than_it_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, accept: str, config: str
) -> None:
    app = CountedStatuses(create_app(defects=0))
    with served(app) as url:
        printed = schemathesis_run(url, tmp_path, config, "--header", f"Accept: {accept}")

    print(f"{app.statuses.total()} requests, answered with", dict(sorted(app.statuses.items())))
    assert re.search(r"(\d+) generated, \1 passed", printed)
    assert app.statuses.keys() >= {200, 405, 422}
    assert max(app.statuses) < 500
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
