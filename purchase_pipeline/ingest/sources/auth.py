"""Authentication of requests. Secrets are given by the name of an environment variable, and read when used."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from time import monotonic
from typing import NamedTuple, Protocol

import httpx

from purchase_pipeline.ingest.error_responses import status_of
from purchase_pipeline.ingest.sources.errors import ApiRefusedError, ApiUnavailableError
from purchase_pipeline.ingest.sources.variables import Deferred, secret

_RENEWAL_SECONDS = 60.0
"""A token is renewed as long before its end, or at half its life if that is shorter."""


class Auth(Protocol):
    """A kind of authentication, built with the definitions."""

    def opened(self) -> httpx.Auth:
        """Read the secrets, and return httpx's authentication.

        Raises:
            MissingVariableError: a variable is not set.
        """


@dataclass(frozen=True)
class BearerToken:
    """A token in the header `Authorization: Bearer`.

    Attributes:
        token: variable with the token.
    """

    token: str | Deferred

    def opened(self) -> httpx.Auth:
        """Read the token."""
        return _Header("Authorization", f"Bearer {secret(self.token)}")


@dataclass(frozen=True)
class ApiKey:
    """A key in a header, or, if `query` is given, in a parameter of the query.

    Attributes:
        key: variable with the key.
        header: name of the header.
        query: name of the parameter.
    """

    key: str | Deferred
    header: str = "X-API-Key"
    query: str = ""

    def opened(self) -> httpx.Auth:
        """Read the key."""
        return _Query(self.query, secret(self.key)) if self.query else _Header(self.header, secret(self.key))


@dataclass(frozen=True)
class BasicAuth:
    """A user name and a password, both by variable.

    Attributes:
        username, password: variables with the user's name and password.
    """

    username: str | Deferred
    password: str | Deferred

    def opened(self) -> httpx.Auth:
        """Read user name and password."""
        return httpx.BasicAuth(secret(self.username), secret(self.password))


@dataclass(frozen=True)
class OAuth2ClientCredentials:
    """A token by OAuth 2's client credentials (RFC 6749, 4.4), renewed before its end and once after a 401.

    Attributes:
        token_url: where tokens are issued.
        client_id, client_secret: variables with the client's id and secret.
        scope: scope of the token, if any.
        parameters: further members of the token's request, such as `audience`.
        in_body: whether id and secret are sent in the body, not as HTTP Basic.
    """

    token_url: str
    client_id: str | Deferred
    client_secret: str | Deferred
    scope: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    in_body: bool = False

    def opened(self) -> httpx.Auth:
        """Read the client's id and secret. A token is requested with the first request."""
        client = _Client(
            self.token_url, secret(self.client_id), secret(self.client_secret), self.scope, self.in_body
        )
        return _credentials(client, tuple(self.parameters.items()))


class _Header(httpx.Auth):
    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._name] = self._value
        yield request


class _Query(httpx.Auth):
    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.url = request.url.copy_set_param(self._name, self._value)
        yield request


class _Client(NamedTuple):
    token_url: str
    client_id: str
    client_secret: str
    scope: str
    in_body: bool


@lru_cache(maxsize=64)
def _credentials(client: _Client, parameters: tuple[tuple[str, str], ...]) -> httpx.Auth:
    """Return the authentication of a client, whose token serves all partitions of a process."""
    return _ClientCredentials(client, parameters)


class _ClientCredentials(httpx.Auth):
    def __init__(self, client: _Client, parameters: tuple[tuple[str, str], ...]) -> None:
        self._client = client
        self._parameters = parameters
        self._token = ""
        self._renewed_from = 0.0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token. Only the response with a new token is read here: others are streamed."""
        if not self._token or monotonic() >= self._renewed_from:
            yield from self._renewal(request)
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._renewal(request)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _renewal(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield self._token_request(request)
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise ApiUnavailableError(f"No token: {status_of(response)}.")
        response.read()
        try:
            granted = response.raise_for_status().json()
            token, seconds = str(granted["access_token"]), granted.get("expires_in")
            seconds = inf if seconds is None else float(seconds)
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError, AttributeError) as error:
            # The body is not shown: it may contain a token.
            raise ApiRefusedError(
                f"No token: {status_of(response)}.", hint="Check the client's id, secret and scope."
            ) from error
        self._token = token
        self._renewed_from = monotonic() + max(seconds - _RENEWAL_SECONDS, seconds / 2)

    def _token_request(self, request: httpx.Request) -> httpx.Request:
        url, client_id, client_secret, scope, in_body = self._client
        data = {"grant_type": "client_credentials", **dict(self._parameters)}
        if scope:
            data["scope"] = scope
        if in_body:
            data |= {"client_id": client_id, "client_secret": client_secret}
        token_request = httpx.Request(
            "POST",
            url,
            data=data,
            headers={"Accept": "application/json"},
            extensions=request.extensions,
        )
        if not in_body:
            next(httpx.BasicAuth(client_id, client_secret).auth_flow(token_request))
        return token_request
