"""The `new` command."""

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import click
from rich.console import Console

from purchase_pipeline.feeds.new.partitions import WINDOWS, Partitioning, partitioning
from purchase_pipeline.feeds.new.places import places_for
from purchase_pipeline.ingest.sources.auth import ApiKey, Auth, BearerToken
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ops.new_feed import Wanted, run_new

_SECRET = re.compile(
    r"(?i)authorization|proxy-authorization|cookie|(access|auth|x-auth)?[-_]?token|key|sig|signature"
    r"|.*(api|access|secret|subscription)[-_]?key|.*(secret|passw).*"
)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_TEMPLATE = re.compile(r"\{\w+[:}]")


@click.command()
@click.argument("name")
@click.option("--from", "url", required=True, metavar="URL", help="URL to request; may be a template.")
@click.option(
    "--partitions", default="none", show_default=True, help=f"{', '.join(WINDOWS)}, or keys: north,south."
)
@click.option(
    "--partition", "key", help="Partition to request, the first to load.  [default: the last complete one]"
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter of the URL, such as day={partition_key}.",
)
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header; a secret is refused."
)
@click.option("--token-env", metavar="VARIABLE", help="Environment variable with a bearer token.")
@click.option(
    "--key-env",
    metavar="'NAME: VARIABLE'",
    help="Variable with an API key for a header; NAME=VARIABLE for a parameter.",
)
@click.option(
    "--rows", default="", metavar="PATH", help="Path of the rows in a JSON object.  [default: found]"
)
@click.option("--sample", type=click.IntRange(1), default=1000, show_default=True, help="Rows to look at.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Write defs.yaml of a FeedComponent, not Python.")
@click.option("--directory", type=_FOLDER, help="Where to write.  [default: in the dg project, or else here]")
def new(  # noqa: PLR0913  (one for each option)
    *,
    name: str,
    url: str,
    partitions: str,
    key: str | None,
    params: Sequence[str],
    headers: Sequence[str],
    token_env: str | None,
    key_env: str | None,
    rows: str,
    sample: int,
    as_yaml: bool,
    directory: Path | None,
) -> None:
    """Write a feed from one response of an API.

    Requests the URL, shows what it has found and how sure it is, and writes a contract, the declaration and a test with
    a sample of the rows. Reads a JSON array, JSON around an array, NDJSON and CSV, also gzip or zstd.

    \b
    purchase-pipeline new orders --from https://api.example.com/v1/orders \\
        --token-env ORDERS_TOKEN
    purchase-pipeline new orders --from https://api.example.com/v1/orders \\
        --partitions daily --param day={partition_key}
    purchase-pipeline new sales --partitions monthly \\
        --from 'https://example.com/{start:%Y-%m}.csv.gz'

    A template may have {partition_key}, and of a time window {start}, {end} and {last}: {start:%d/%m/%Y}. Secrets are
    read from environment variables; no file has them. No file is overwritten.
    """
    _require_name(name)
    given = dict(_pairs(params, "=", "--param"))
    sent = dict(_pairs(headers, ":", "--header"))
    _require_http(url)
    _refuse_secrets([*parse_qsl(urlsplit(url).query), *given.items(), *sent.items()])
    request = _partitioning(
        partitions, key, has_template=bool(_TEMPLATE.search(" ".join([url, *params, *headers])))
    )
    source = _source(url, given, sent, _auth(token_env, key_env))
    places = places_for(name, directory, as_yaml=as_yaml)
    run_new(Wanted(name, source, request, rows, sample), places, Console())


def _source(url: str, params: Mapping[str, str], headers: Mapping[str, str], auth: Auth | None) -> HttpSource:
    parts = urlsplit(url)
    in_url = parse_qs(parts.query, keep_blank_values=True)
    return HttpSource(
        f"{parts.scheme}://{parts.netloc}",
        path=parts.path,
        params={**{name: each if len(each) > 1 else each[0] for name, each in in_url.items()}, **params},
        headers=headers,
        auth=auth,
        attempts=1,
    )


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name) or name in {"defs", "dg"}:
        raise click.BadParameter(
            f"{name!r} cannot name a feed: use small letters, digits and underscores.", param_hint="NAME"
        )
    if find_spec(name) is not None:
        raise click.BadParameter(f"a Python module {name!r} exists already.", param_hint="NAME")


def _require_http(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{url!r} is not an http:// or https:// URL.", param_hint="--from")
    if parts.username or parts.password:
        raise click.BadParameter(
            "The URL has a password, which would be written. Use --token-env or --key-env.",
            param_hint="--from",
        )


def _pairs(given: Sequence[str], separator: str, option: str) -> Iterator[tuple[str, str]]:
    for each in given:
        name, found, value = each.partition(separator)
        if not found or not name.strip():
            raise click.BadParameter(f"{each!r} is not NAME{separator}VALUE.", param_hint=option)
        yield name.strip(), value.strip()


def _refuse_secrets(pairs: Sequence[tuple[str, str]]) -> None:
    for name, value in pairs:
        if _SECRET.fullmatch(name) and value and not _TEMPLATE.search(value):
            raise click.UsageError(
                f"{name} looks like a secret, which would be written to the file. Set an environment variable, and "
                f"name it: --token-env VARIABLE, --key-env '{name}: VARIABLE' or --key-env {name}=VARIABLE."
            )


def _auth(token_env: str | None, key_env: str | None) -> Auth | None:
    if token_env and key_env:
        raise click.UsageError("--token-env and --key-env are mutually exclusive.")
    if token_env:
        return BearerToken(_variable(token_env))
    if not key_env:
        return None
    separator = "=" if "=" in key_env else ":"
    ((name, variable),) = _pairs([key_env], separator, "--key-env")
    variable = _variable(variable)
    return ApiKey(variable, query=name) if separator == "=" else ApiKey(variable, header=name)


def _variable(name: str) -> str:
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return name
    raise click.UsageError("A secret is given by the name of an environment variable, such as ORDERS_TOKEN.")


def _partitioning(words: str, key: str | None, *, has_template: bool) -> Partitioning:
    if has_template != (words != "none"):
        raise click.UsageError(
            "A template needs partitions: add --partitions daily."
            if has_template
            else "All partitions would be the same request: add --param day={partition_key}, or a template to the URL."
        )
    try:
        return partitioning(words, key)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
