"""The source of a feed in YAML."""

from typing import Annotated, Any

import dagster as dg
from pydantic import AfterValidator, Field, ValidationInfo

from purchase_pipeline.feeds.yaml.attributes import Attributes, attributes_of
from purchase_pipeline.feeds.yaml.choices import Choice, Kind
from purchase_pipeline.feeds.yaml.values import Variable, is_template, variable_name
from purchase_pipeline.ingest.formats import Csv, Json, NdJson
from purchase_pipeline.ingest.sources.auth import ApiKey, BasicAuth, BearerToken, OAuth2ClientCredentials
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.http_attributes import problem_of
from purchase_pipeline.ingest.sources.pages import Cursor, LinkHeader, NextLink, Offset, PageNumber


def _url(url: str, info: ValidationInfo) -> Any:  # noqa: ANN401
    """Return a URL, or the variable with it."""
    if "://" in url or is_template(url):
        return url
    try:
        variable = variable_name(url)
    except ValueError as error:
        raise ValueError("must be a URL, or the name of the environment variable with it") from error
    return dg.EnvVar(variable) if info.context else url


def _kind(declared: type, main: str = "") -> Kind:
    return Kind(declared, attributes_of(declared, without={"type"}), main)


AUTH = {
    "bearer": _kind(BearerToken, "token"),
    "api_key": _kind(ApiKey, "key"),
    "basic": _kind(BasicAuth),
    "oauth2": _kind(OAuth2ClientCredentials),
}
PAGES = {
    "next": _kind(NextLink, "path"),
    "link": _kind(LinkHeader, "rel"),
    "page": _kind(PageNumber, "param"),
    "offset": _kind(Offset, "param"),
    "cursor": _kind(Cursor, "param"),
}
FORMATS = {"json": _kind(Json, "rows"), "ndjson": _kind(NdJson), "csv": _kind(Csv, "delimiter")}


_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization", "x-api-key"}


class _Source(Attributes):
    token: Variable = Field(
        default="", description="Variable with a bearer token; short for `auth: {bearer: ...}`"
    )


_SourceAttributes = attributes_of(
    HttpSource,
    types={
        "url": Annotated[str, AfterValidator(_url)],
        "auth": Annotated[Any, Choice(AUTH)],
        "pages": Annotated[Any, Choice(PAGES)],
        "format": Annotated[Any, Choice(FORMATS)],
    },
    base=_Source,
)


def _source(attributes: Attributes, info: ValidationInfo) -> Attributes | HttpSource:
    given = attributes.given()
    if "token" in given and "auth" in given:
        raise ValueError(
            "token and auth exclude each other: `token: NAME` is short for `auth: {bearer: NAME}`"
        )
    for name in given.get("headers") or ():
        if name.lower() in _SECRET_HEADERS:
            raise ValueError(
                f"headers: {name} is a secret; use `token: NAME` or `auth`, which read it when it is used"
            )
    if not info.context:
        return attributes
    if token := given.pop("token", None):
        given["auth"] = BearerToken(token)
    source = HttpSource(**given)
    if problem := problem_of(source):
        raise ValueError(problem)
    return source


HttpSourceInYaml = Annotated[_SourceAttributes, AfterValidator(_source)]  # type: ignore[valid-type]  # made at run time
