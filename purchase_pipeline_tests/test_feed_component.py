"""A feed in YAML: the definitions that Python gives, errors that name the attribute, and `dg` in a fresh project."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import dagster as dg
import httpx
import psycopg
import pytest
import yaml
from dagster.components.resolved.errors import ResolutionException
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from examples.orders.fake_api import create_app
from purchase_pipeline.feeds import (
    ApiKey,
    BasicAuth,
    BearerToken,
    Csv,
    Cursor,
    Feed,
    FunctionSource,
    HttpSource,
    Json,
    LinkHeader,
    NdJson,
    NextLink,
    NoPages,
    OAuth2ClientCredentials,
    Offset,
    PageNumber,
    Since,
    Write,
)
from purchase_pipeline.feeds.component import FeedComponent
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.scaffold import scaffolded
from purchase_pipeline.feeds.testing import check_feed
from purchase_pipeline_tests.documents import PROJECT, blocks_of
from purchase_pipeline_tests.fresh_project import PYPROJECT, Project
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.two_feeds import Product, readings

PAGE = PROJECT / "docs" / "your-own-api.md"
ORDERS = """
name: orders
columns: {id: text}
partitions: {type: static, partition_keys: [a, b]}
source: {url: "http://api.test", path: /orders}
"""


def declared(**attributes: Any) -> Feed:  # noqa: ANN401  (any YAML)
    """The feed of `ORDERS` with other attributes; None leaves one out."""
    given = {**yaml.safe_load(ORDERS), **attributes}
    return loaded({name: value for name, value in given.items() if value is not None})


def loaded(attributes: dict[str, Any]) -> Feed:
    return FeedComponent.from_attributes_dict(attributes=attributes).feed


def source_of(**attributes: Any) -> HttpSource:  # noqa: ANN401  (any YAML)
    source = declared(source={"url": "http://api.test", **attributes}).source
    assert isinstance(source, HttpSource)
    return source


def described(definitions: dg.Definitions) -> dict[str, object]:
    """What Dagster shows of a feed's definitions."""
    repository = definitions.get_repository_def()
    return {
        "assets": sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key),
        "checks": sorted(repository.asset_graph.asset_check_keys),
        "jobs": [(job.name, job.description, job.partitions_def) for job in repository.get_all_jobs()],
        "sensors": [
            (sensor.name, sensor.description, sensor.minimum_interval_seconds, sensor.default_status)
            for sensor in repository.sensor_defs
        ],
        "schedules": [(schedule.name, schedule.cron_schedule) for schedule in repository.schedule_defs],
        "resources": {
            key: getattr(one, "description", "") for key, one in (definitions.resources or {}).items()
        },
    }


def test_yaml_and_python_give_the_same_definitions() -> None:
    in_yaml = """
name: products
contract: purchase_pipeline_tests.two_feeds.Product
partitions: {type: daily, start_date: "2026-01-01", timezone: America/Sao_Paulo}
source:
  url: PRODUCTS_API_URL
  path: /products
  params: {day: "{start:%d/%m/%Y}", size: 100}
  token: PRODUCTS_API_TOKEN
  for_each: {shop: [1, 2]}
  rows: items
  pages: {next: links.next}
  rate: 600/minute
max_rejected_ratio: 0.2
every: 60
freshness: {type: time_window, fail_hours: 24, warn_hours: 12}
owners: ["team:products"]
tags: {domain: products}
group: ingest
api_pool: products_of_all_shops
"""
    in_python = Feed(
        name="products",
        contract=Product,
        partitions=dg.DailyPartitionsDefinition("2026-01-01", timezone="America/Sao_Paulo"),
        source=HttpSource(
            dg.EnvVar("PRODUCTS_API_URL"),
            path="/products",
            params={"day": "{start:%d/%m/%Y}", "size": 100},
            auth=BearerToken("PRODUCTS_API_TOKEN"),
            for_each={"shop": ["1", "2"]},
            rows="items",
            pages=NextLink("links.next"),
            rate="600/minute",
        ),
        max_rejected_ratio=0.2,
        every=60,
        freshness=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=1), warn_window=timedelta(hours=12)
        ),
        owners=["team:products"],
        tags={"domain": "products"},
        group="ingest",
        api_pool="products_of_all_shops",
    )

    feed = loaded(yaml.safe_load(in_yaml))

    assert feed.source == in_python.source
    assert described(feed.definitions()) == described(in_python.definitions())


def test_every_attribute_of_a_feed_and_of_a_source_is_in_yaml_and_documented() -> None:
    schema = FeedComponent.model().model_json_schema()
    source, write, since = (schema["$defs"][name] for name in ("HttpSource", "Write", "Since"))

    assert {field.name for field in fields(FeedDeclaration)} - schema["properties"].keys() == {"tables"}
    assert {field.name for field in fields(HttpSource)} <= source["properties"].keys()
    assert {field.name for field in fields(Write)} == write["properties"].keys()
    assert {field.name for field in fields(Since)} == since["properties"].keys()
    undocumented = {
        name
        for of in (schema, source, write, since)
        for name, attribute in of["properties"].items()
        if not attribute.get("description")
    }
    assert undocumented == set()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"token": "TOKEN"}, BearerToken("TOKEN")),
        ({"auth": {"bearer": "TOKEN"}}, BearerToken("TOKEN")),
        ({"auth": {"api_key": "KEY", "query": "key"}}, ApiKey("KEY", query="key")),
        ({"auth": {"basic": {"username": "USER", "password": "PASSWORD"}}}, BasicAuth("USER", "PASSWORD")),
        (
            {"auth": {"oauth2": {"token_url": "http://a", "client_id": "ID", "client_secret": "SECRET"}}},
            OAuth2ClientCredentials("http://a", "ID", "SECRET"),
        ),
        ({}, None),
    ],
)
def test_authentication_in_yaml(attributes: dict[str, object], expected: object) -> None:
    assert source_of(**attributes).auth == expected


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ({"next": "links.next"}, NextLink("links.next")),
        ("next", NextLink()),
        ({"link": True}, LinkHeader()),
        ({"page": "p", "size": 50}, PageNumber("p", size=50)),
        ({"page": {"param": "p", "first": 0}}, PageNumber("p", first=0)),
        ({"offset": "skip", "limit": 10}, Offset("skip", limit=10)),
        ({"cursor": {"param": "after", "path": "meta.next"}}, Cursor("after", "meta.next")),
        ({"cursor": "after", "path": "meta.next"}, Cursor("after", "meta.next")),
        ("{{ None }}", None),
    ],
)
def test_pages_in_yaml(pages: object, expected: object) -> None:
    if expected is None:
        assert source_of(rows="items").pages == NoPages()
    else:
        assert source_of(rows="items", pages=pages).pages == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("csv", Csv()),
        ({"csv": ";"}, Csv(delimiter=";")),
        ({"csv": {"delimiter": "|", "encoding": "latin-1"}}, Csv(delimiter="|", encoding="latin-1")),
        ({"csv": {"header": ["a", "b"]}}, Csv(header=("a", "b"))),
        ("ndjson", NdJson()),
        ({"json": "data.items"}, Json(rows="data.items")),
    ],
)
def test_formats_in_yaml(written: object, expected: object) -> None:
    assert source_of(format=written).format == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"type": "hourly", "start_date": "2026-01-01-00:00"}, dg.HourlyPartitionsDefinition("2026-01-01-00:00")),
        (
            {"type": "daily", "start_date": "2026-01-01", "end_offset": 1},
            dg.DailyPartitionsDefinition("2026-01-01", end_offset=1),
        ),
        (
            {"type": "weekly", "start_date": "2026-01-01", "day_offset": 1},
            dg.WeeklyPartitionsDefinition("2026-01-01", day_offset=1),
        ),
        ({"type": "monthly", "start_date": "2026-01-01"}, dg.MonthlyPartitionsDefinition("2026-01-01")),
        (
            {"type": "time_window", "start_date": "2026-01-01", "fmt": "%Y-%m-%d", "cron_schedule": "0 0 * * 1"},
            dg.TimeWindowPartitionsDefinition("2026-01-01", "%Y-%m-%d", cron_schedule="0 0 * * 1"),
        ),
        (
            {"type": "static", "partition_keys": ["001", 2, "1.50"]},
            dg.StaticPartitionsDefinition(["001", "2", "1.50"]),
        ),
        ({"type": "dynamic", "name": "files"}, dg.DynamicPartitionsDefinition(name="files")),
        (
            {
                "type": "multi",
                "dimensions": {
                    "shop": {"type": "static", "partition_keys": ["a"]},
                    "day": {"type": "daily", "start_date": "2026-01-01"},
                },
            },
            dg.MultiPartitionsDefinition(
                {
                    "shop": dg.StaticPartitionsDefinition(["a"]),
                    "day": dg.DailyPartitionsDefinition("2026-01-01"),
                }
            ),
        ),
        ("{{ dg.DailyPartitionsDefinition('2026-01-01') }}", dg.DailyPartitionsDefinition("2026-01-01")),
        (None, None),
    ],
    ids=str,
)  # fmt: skip
def test_partitions_in_yaml(written: object, expected: object) -> None:
    assert declared(partitions=written).partitions == expected


def test_a_function_is_a_source() -> None:
    feed = declared(source=None, function="purchase_pipeline_tests.two_feeds:readings")

    assert feed.source == FunctionSource(readings)


def test_variables_are_given_by_default() -> None:
    feed = declared(variables={"size": 100})

    assert feed.variables["size"].default == 100


def test_templates_are_rendered_and_other_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API", "https://api.test/v2")
    monkeypatch.setenv("ATTEMPTS", "7")

    source = source_of(
        url="{{ env.API }}/orders",
        attempts="{{ env.ATTEMPTS }}",
        params={"a": "1.50", "b": "{partition_key}"},
    )

    assert (source.url, source.attempts) == ("https://api.test/v2/orders", 7)
    assert source.params == {"a": "1.50", "b": "{partition_key}"}


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"colums": {}}, r"unknown attribute 'colums' \(did you mean 'columns'\?\); accepted: columns, function, "),
    ({"name": "my-orders"}, r"name.*must be letters, digits and underscores"),
    ({"name": None}, r"name.*Field required"),
    ({"columns": {"id": "txt"}}, r"columns.*unknown type 'txt'. Known types: text, integer"),
    ({"columns": None}, r"must have either contract or columns"),
    ({"contract": "a.B"}, r"must have either contract or columns"),
    ({"columns": None, "contract": "Order"}, r"contract.*must be a dotted path, such as my_project.orders.Order"),
    ({"columns": None, "contract": "nope.Order"}, r"contract: cannot import 'nope.Order' \(ModuleNotFoundError"),
    ({"columns": None, "contract": "os.path"}, r"contract: 'os.path' is not a pydantic model"),
    ({"source": None}, r"must have either source or function"),
    ({"source": None, "function": "os.path.jon"}, r"function: cannot import 'os.path.jon' \(AttributeError"),
    ({"source": None, "function": "os.sep"}, r"function: 'os.sep' is not a function"),
    ({"source": "http://api.test"}, r"source.*must be attributes; accepted: token, url, path"),
    ({"source": {"url": "A", "pathh": "/a"}}, r"'pathh' \(did you mean 'path'\?\); accepted: token, url, path"),
    ({"source": {"path": "/a"}}, r"source.url.*Field required"),
    ({"source": {"url": "api.test"}}, r"source.url.*must be a URL, or the name of the environment variable"),
    ({"source": {"url": "{{ env.NO_SUCH_URL }}"}}, r"source.url: .* has no value. Set the environment variable"),
    ({"source": {"url": "A", "token": "s3cr3t-t0ken"}}, r"source.token.*must be the name of an environment variable"),
    ({"source": {"url": "A", "token": "{{ env.TOKEN }}"}}, r"source.token.*must be the name of an environment variab"),
    ({"source": {"url": "A", "token": "T", "auth": {"bearer": "T"}}}, r"source.*token and auth exclude each other"),
    ({"source": {"url": "A", "auth": {"bearer": "s3-cret"}}}, r"source.auth.*token: must be the name of an env"),
    ({"source": {"url": "A", "auth": "digest"}}, r"source.auth.*exactly one kind; accepted: bearer \(token\), api_key"),
    ({"source": {"url": "A", "auth": {"basic": "USER"}}}, r"source.auth.*basic: must be attributes"),
    ({"source": {"url": "A", "headers": {"authorization": "x"}}}, r"headers: authorization is a secret; use `token"),
    ({"source": {"url": "A", "pages": {"next": "n"}}}, r"source: NextLink.* give the rows' path"),
    ({"source": {"url": "A", "pages": {"page": "p", "sise": 1}}}, r"page: unknown attribute 'sise' \(did you mean"),
    ({"source": {"url": "A", "pages": {"link": True, "page": "p"}}}, r"source.pages.*must be exactly one kind"),
    ({"source": {"url": "A", "format": {"csv": ";;"}}}, r"source.format: csv: delimiter: must be one ASCII character"),
    ({"source": {"url": "A", "format": {"csv": {"encoding": "hex"}}}}, r"csv: encoding: must be an encoding"),
    ({"source": {"url": "A", "rate": "10/fortnight"}}, r"source: rate is '10/fortnight'; it must be a rate such"),
    ({"source": {"url": "A", "for_each": {"series": []}}}, r"source: for_each: series is \[\]; expected a list"),
    ({"source": {"url": "http://api:99999"}}, r"source: url must be http://host:port or https://host/path"),
    ({"source": {"url": "A", "attempts": "many"}}, r"source.attempts.*valid integer"),
    ({"partitions": {"type": "dayly"}}, r"partitions.*type: unknown 'dayly'; accepted: hourly, daily, weekly, monthly"),
    ({"partitions": {"type": "daily"}}, r"partitions.*daily: start_date: Field required"),
    ({"partitions": {"type": "daily", "start_date": "monday"}}, r"partitions: daily: time data 'monday' does not"),
    ({"partitions": {"type": "static", "partition_keys": ["a", "a"]}}, r"partitions: static: .*must be unique"),
    ({"freshness": {"type": "time_window", "fail_hours": 0}}, r"freshness.*fail_hours: .*greater than 0"),
    ({"max_rejected_ratio": 7}, r"max_rejected_ratio is 7.0. Set it to a ratio above 0, at most 1"),
    ({"every": 0}, r"every is 0.0. Set it to seconds, above 0"),
    ({"schedule": "at six"}, r"Feed '\w+': schedule is for a feed without partitions. Remove it"),
    ({"owners": "team:orders"}, r"owners.*valid list"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "error"), MISTAKES, ids=str)
def test_a_mistake_in_yaml_names_the_attribute_and_what_is_accepted(
    attributes: dict[str, Any], error: str
) -> None:
    with pytest.raises((ValidationError, ResolutionException)) as caught:
        declared(**attributes)

    assert re.search(error, str(caught.value), re.DOTALL), str(caught.value)


def test_the_scaffolded_feed_is_valid() -> None:
    written = yaml.safe_load(scaffolded("purchase_pipeline.FeedComponent", "2-my orders!", date(2026, 1, 8)))

    from jsonschema import Draft202012Validator  # noqa: PLC0415  (imports a grammar's parser: 2 s)

    Draft202012Validator(FeedComponent.model().model_json_schema()).validate(written["attributes"])
    feed = loaded(written["attributes"])
    assert feed.name == "feed_2_my_orders"
    assert feed.partitions == dg.DailyPartitionsDefinition("2026-01-01")
    assert feed.source == HttpSource(
        dg.EnvVar("FEED_2_MY_ORDERS_API_URL"), path="/feed_2_my_orders", params={"day": "{partition_key}"}
    )


def test_listing_the_components_loads_little_of_the_package() -> None:
    program = (
        "import sys, purchase_pipeline; assert 'FeedComponent' in dir(purchase_pipeline); "
        "assert not any(name.startswith('dagster') for name in sys.modules); "
        "purchase_pipeline.FeedComponent; "
        "print(*sorted(name for name in sys.modules if name.startswith('purchase_pipeline')))"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.split() == [
        "purchase_pipeline",
        "purchase_pipeline.feeds",
        "purchase_pipeline.feeds.component",
        "purchase_pipeline.feeds.scaffold",
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as its wheel installs it, and the file that the wheel of such a project adds."""
    built, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("venv") / "site-packages"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=PROJECT, capture_output=True, check=True)
    (wheel,) = built.glob("*.whl")
    ZipFile(wheel).extractall(site)
    (site / "pyproject.toml").write_text(PYPROJECT)
    return site


@pytest.fixture
def project(tmp_path: Path, site: Path) -> Project:
    """A fresh project."""
    return Project(tmp_path, site)


def with_scaffolded_feed(project: Project) -> Path:
    """Write what `dg scaffold defs` writes, which takes as long as the check that follows, and return the file."""
    file = project.folder / "src/shop/defs/orders/defs.yaml"
    file.parent.mkdir()
    file.write_text(scaffolded("purchase_pipeline.FeedComponent", "orders"))
    return file


def day_of_orders(request: Request) -> JSONResponse:
    """Return 50 orders of a day, one of them without a number as its amount."""
    day = request.query_params["day"]
    rows = [
        {"id": f"{day}/{number}", "amount": number + 0.5, "created_at": f"{day}T10:00:00Z"}
        for number in range(49)
    ]
    return JSONResponse([*rows, {"id": "last", "amount": "much", "created_at": f"{day}T10:00:00Z"}])


@pytest.fixture
def orders_url() -> Iterator[str]:
    """An API of orders."""
    with served(Starlette(routes=[Route("/orders", day_of_orders)])) as url:
        yield url


@pytest.mark.proof
def test_a_scaffolded_feed_loads_in_a_fresh_project(
    project: Project, orders_url: str, started: ExitStack
) -> None:
    started.callback(project.run, "purchase-pipeline", "reset", "--yes")
    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011  (any of the last days)
    day = str(yesterday - timedelta(days=1))
    (project.folder / ".env").write_text(f"ORDERS_API_URL={orders_url}\n")

    components = json.loads(project.run("dg", "list", "components", "--json"))
    project.run("dg", "scaffold", "defs", "purchase_pipeline.FeedComponent", "orders")
    written = (project.folder / "src/shop/defs/orders/defs.yaml").read_text()
    project.run("dg", "check", "defs")
    listed = json.loads(project.run("dg", "list", "defs", "--json"))
    project.run("dg", "launch", "--assets", "*", "--partition", day)
    feed = ["purchase-pipeline", "-m", "shop.definitions"]
    ingested, url = project.run(*feed, "ingest"), project.run("purchase-pipeline", "db-url").strip()

    assert written == scaffolded("purchase_pipeline.FeedComponent", "orders")
    assert "purchase_pipeline.FeedComponent" in {component["key"] for component in components["items"]}
    assert {"orders", "orders_rejected", "raw_orders"} <= {asset["asset_key"] for asset in listed["assets"]}
    assert "1 of 7 batches already loaded" in ingested
    assert "350 rows received = 343 loaded + 7 rejected" in ingested
    with psycopg.connect(url) as connection:
        totals = "SELECT count(*), sum(amount)::text FROM orders WHERE partition_key = %s"
        assert connection.execute(totals, [day]).fetchall() == [(49, "1200.50")]
        rejects = "SELECT row_number, fields FROM orders_rejected WHERE partition_key = %s"
        assert connection.execute(rejects, [day]).fetchall() == [(50, ["amount"])]
    assert (project.folder / ".purchase" / ".gitignore").exists()


def test_the_yaml_of_the_page_loads_the_orders_of_the_example(server_url: str) -> None:
    (written,) = (block.text for block in blocks_of(PAGE) if block.file.endswith("defs.yaml"))
    with served(create_app()) as url:
        pages = [httpx.get(f"{url}/orders?day=2026-01-05&page={number}").content for number in (1, 2, 3)]

    report = check_feed(loaded(yaml.safe_load(written)["attributes"]), {"2026-01-05": pages}, server_url)

    assert report.partitions == {"2026-01-05": (120, 119, 1)}


@pytest.mark.proof
def test_a_mistake_is_shown_with_its_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    file = with_scaffolded_feed(project)
    file.write_text(file.read_text().replace("path: /orders", "pathh: /orders"))

    in_yaml = project.tried("dg", "check", "yaml")

    line = 1 + file.read_text().splitlines().index("    pathh: /orders")
    assert in_yaml.returncode != 0
    assert "'pathh' was unexpected" in in_yaml.stdout
    assert f"defs.yaml:{line}" in in_yaml.stdout


@pytest.mark.proof
def test_a_value_out_of_bounds_is_shown_with_its_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    file = with_scaffolded_feed(project)
    file.write_text(
        file.read_text().replace("    path: /orders", "    path: /orders\n    rate: 10/fortnight")
    )

    checked = project.tried("dg", "check", "defs", "--no-check-yaml")  # which its schema cannot know

    printed = " ".join((checked.stdout + checked.stderr).split())
    assert checked.returncode != 0
    assert "rate is '10/fortnight'; it must be a rate such as 600/minute, 10/second or 5/2second" in printed
    assert "defs.yaml:" in printed
