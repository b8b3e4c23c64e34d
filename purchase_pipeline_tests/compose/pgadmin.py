"""A pgAdmin user: the requests of its page, from the login to the tree of tables."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

_DEADLINE_SECONDS = 60


class PgAdmin:
    """The session of a user who opens their registered server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def connect(self) -> str:
        """Open the registered server without entering a password, and return pgAdmin's response."""
        group, server = self._server()
        answer = self._client.post(f"/browser/server/connect/{group}/{server}").json()
        return str(answer.get("info") or answer)

    def tables(self, database: str) -> list[str]:
        """Return the tables of a database's `public` schema; the server must be connected."""
        path = "/".join(self._server())
        path = f"{path}/{self._child(f'database/nodes/{path}/', database)}"
        path = f"{path}/{self._child(f'schema/nodes/{path}/', 'public')}"
        return [node["label"] for node in self._nodes(f"table/nodes/{path}/")]

    def _server(self) -> tuple[str, str]:
        (group,) = self._nodes("server_group/nodes/")
        (server,) = self._nodes(f"server_group/children/{group['_id']}")
        return group["_id"], server["_id"]

    def _child(self, path: str, label: str) -> str:
        (found,) = [node["_id"] for node in self._nodes(path) if node["label"] == label]
        return str(found)

    def _nodes(self, path: str) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self._client.get(f"/browser/{path}").raise_for_status().json()["data"]
        return nodes


@contextmanager
def logged_in(url: str, *, email: str, password: str) -> Iterator[PgAdmin]:
    """Log in as the page does.

    Raises:
        AssertionError: there is no login form, or the login is refused.
    """
    with httpx.Client(base_url=url, follow_redirects=True, timeout=_DEADLINE_SECONDS) as client:
        token = _token(r'"csrfToken": "([^"]+)"', client.get("/login"))
        login = {"csrf_token": token, "email": email, "password": password, "internal_button": "Login"}
        client.post("/authenticate/login", data=login).raise_for_status()
        script = client.get("/browser/js/utils.js")  # the login page if not logged in
        client.headers["X-pgA-CSRFToken"] = _token(r"pgAdmin\['csrf_token'\] = '([^']+)'", script)
        yield PgAdmin(client)


def _token(pattern: str, page: httpx.Response) -> str:
    found = re.search(pattern, page.raise_for_status().text)
    assert found, f"{page.url} has no {pattern}: {page.text[:500]}"
    return found.group(1)
