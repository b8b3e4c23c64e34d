"""The landing in a bucket, against a real S3-compatible server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep

import boto3
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline import MissingExtraError
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing import s3
from purchase_pipeline.ingest.landing.backend import LandingUnavailableError
from purchase_pipeline.ingest.landing.pages import DamagedFileError
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.locks import lock_slice
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline_tests.builders import a_raw_compra
from purchase_pipeline_tests.landed import land_lines, land_page, rows_of
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.s3 import a_bucket, access, an_object_store, forget_connections
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.storing import error_of
from purchase_pipeline_tests.tcp_link import Link, Way, at_byte, let_pass, slow
from purchase_pipeline_tests.tcp_proxy import TcpProxy, proxied
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.programs

LANDS = """
import os
import sys

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.sources.request import Page

page = Page(NDJSON, [os.urandom(4_000_000), b"\\n"])
landing_at(sys.argv[1]).land("lote-0001", lambda add_page: add_page(page))
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of an object store."""
    with an_object_store() as (_, port):
        yield port


@pytest.fixture
def address(port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL in an empty bucket."""
    return a_bucket(monkeypatch, port)


@pytest.fixture
def landing(address: str) -> Landing:
    """A landing in that bucket."""
    return landing_at(address)


@pytest.fixture
def proxy(
    port: int,
    address: str,  # noqa: ARG001  # which says where the store is, until this says otherwise
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TcpProxy]:
    """Put a proxy between this process and the store."""
    with proxied(("127.0.0.1", port)) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        forget_connections()
        yield between


def objects_of(address: str) -> list[str]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return sorted(each["Key"].removeprefix(f"{prefix}/") for each in found)


def test_a_batch_is_read_back_byte_for_byte(landing: Landing, address: str) -> None:
    raw = b'{"a":"\xff\xc1 \x00"}\r\n\n{"a":"Jos\xc3\xa9"}'

    landed = land_page(landing, "lote-0001", Page(NDJSON, [raw[:9], raw[9:]]))

    assert landing_at(address).find("lote-0001") == landed
    assert rows_of(landing_at(address), landed) == [b'{"a":"\xff\xc1 \x00"}\r', b'{"a":"Jos\xc3\xa9"}']
    assert landing.is_whole(landed)
    assert landing.find("lote-000") is None
    assert objects_of(address) == [landed.file_name, "lote-0001.json"]


def test_a_batch_of_several_blocks_is_read_back(landing: Landing) -> None:
    rows = [b"%d %s" % (number, os.urandom(500).hex().encode()) for number in range(20_000)]

    landed = land_lines(landing, "a", *rows)

    assert rows_of(landing, landed) == rows


def test_an_error_while_landing_keeps_only_the_old_file(landing: Landing, address: str) -> None:
    old = land_lines(landing, "a", b"old")
    objects = objects_of(address)

    def breaking() -> Iterator[bytes]:
        yield b"new\n" * 10_000
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError, match="cut"):
        land_page(landing, "a", Page(NDJSON, breaking()))

    assert landing.find("a") == old
    assert objects_of(address) == objects


def test_superseded_objects_are_kept_for_an_hour(
    landing: Landing, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = land_lines(landing, "a", b"old")
    other = land_lines(landing, "aa", b"other")

    new = land_lines(landing, "a", b"new")

    assert landing.find("a") == new
    assert rows_of(landing, old) == [b"old"]

    monkeypatch.setattr(s3, "_STALE", timedelta(seconds=1))
    sleep(2.1)  # the store's resolution is a second
    newest = land_lines(landing, "a", b"newest")

    assert objects_of(address) == sorted([newest.file_name, "a.json", other.file_name, "aa.json"])


def test_a_refused_batch_stays_refused_until_it_lands_again(landing: Landing) -> None:
    landed = land_lines(landing, "a", b"bad")

    landing.refuse(landed)

    assert landing.find("a") == landed.model_copy(update={"refused": True})
    assert not land_lines(landing, "a", b"bad").refused


def test_a_damaged_object_is_detected(landing: Landing, address: str) -> None:
    landed = land_lines(landing, "a", *(b"%d" % number for number in range(10_000)))
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    key = f"{prefix}/{landed.file_name}"
    raw = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=raw[: len(raw) // 2])
    assert not landing.is_whole(landed)

    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"?" + raw[1:])
    assert not landing.is_whole(landed)
    with pytest.raises(DamagedFileError, match=r"a: the landed file .* is missing or damaged"):
        rows_of(landing, landed)

    boto3.client("s3").delete_object(Bucket=bucket, Key=key)
    assert landing.find("a") is None
    with pytest.raises(DamagedFileError, match=r"a: the landed file .* is missing or damaged"):
        rows_of(landing, landed)


def test_concurrent_landings_of_a_batch_leave_one_complete(landing: Landing) -> None:
    def land(number: int) -> None:
        for turn in range(5):
            land_lines(landing, "a", b"%d" % number, b"%d" % turn)
            found = landing.find("a")
            assert found is not None
            assert landing.is_whole(found)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(land, range(4)))


def test_a_broken_upload_is_retried(landing: Landing, proxy: TcpProxy, address: str) -> None:
    proxy.policy_for = lambda: let_pass if has_struck(proxy) else at_byte(1_000_000, Way.UP, Link.reset)

    landed = land_page(landing_at(address), "a", Page(NDJSON, [os.urandom(4_000_000), b"\n"]))

    assert has_struck(proxy)
    assert landing.find("a") == landed
    assert landing.is_whole(landed)


def test_a_failed_upload_leaves_no_partial_batch(landing: Landing, proxy: TcpProxy, address: str) -> None:
    old = land_lines(landing, "a", b"old")
    proxy.policy_for = lambda: at_byte(1_000_000, Way.UP, Link.reset)

    with pytest.raises(LandingUnavailableError, match=r"s3://raw-.*\.zst: Could not connect to the endpoint"):
        land_page(landing_at(address), "a", Page(NDJSON, [os.urandom(4_000_000), b"\n"]))

    assert has_struck(proxy)
    assert landing.find("a") == old
    assert rows_of(landing, old) == [b"old"]


def test_a_process_killed_while_uploading_keeps_the_old_batch(
    landing: Landing, proxy: TcpProxy, address: str
) -> None:
    old = land_lines(landing, "lote-0001", b"old")
    proxy.policy_for = lambda: slow(Way.UP, bytes_per_second=200_000)

    with subprocess.Popen([sys.executable, "-c", LANDS, address]) as process:
        wait_until(lambda: sum(link.bytes[Way.UP] for link in proxy.links) > 500_000)
        process.kill()

    assert landing.find("lote-0001") == old
    assert rows_of(landing, old) == [b"old"]


@pytest.mark.usefixtures("address")
def test_a_missing_bucket_is_named() -> None:
    nowhere = landing_at("s3://there-is-none/lots")

    assert nowhere.find("a") is None
    with pytest.raises(LandingUnavailableError, match=r"bucket does not exist\. Create the bucket"):
        land_lines(nowhere, "a", b"1")


def test_without_s3fs_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules, "purchase_pipeline.ingest.landing.s3")

    with pytest.raises(MissingExtraError, match=r"s3://raw/lots needs the package s3fs.*\[s3\]"):
        landing_at("s3://raw/lots")


def test_the_job_loads_from_a_bucket(address: str, database_url: str) -> None:
    with served(create_app(defects=0.01)) as api_url:
        pipeline = a_pipeline(api_url, address, database_url)
        assert ingest(pipeline, rows=1000).success
        assert ingest(pipeline, rows=1000, refetch=True).success

    verified = Verifier(engine_for(database_url), PURCHASES, landing_at(address)).verify("lote-0001")
    assert (verified.loaded, verified.rejected, verified.differences) == (990, 10, [])


def test_an_older_file_is_not_loaded_over_a_newer_one(address: str, database_url: str) -> None:
    engine, landing = engine_for(database_url), landing_at(address)
    with served(create_app()) as api_url, ThreadPoolExecutor() as pool, engine.connect() as writer:
        pipeline = a_pipeline(api_url, address, database_url)
        lock_slice(writer, "public", "tabela_compras", "lote-0001")
        slow = pool.submit(ingest, pipeline, rows=300)
        wait_until(lambda: waiting_for_a_slice(engine))
        newer = land_lines(landing, "lote-0001", a_raw_compra())
        writer.rollback()
        late = slow.result()

        assert not late.success
        assert f"{newer.digest} has landed since" in error_of(late)
        assert ingest(pipeline, rows=1).success

    verified = Verifier(engine, PURCHASES, landing).verify("lote-0001")
    assert (verified.loaded, verified.rejected, verified.differences) == (1, 0, [])


def waiting_for_a_slice(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        waiting = sa.text("SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(connection.execute(waiting).scalar_one())


@pytest.mark.parametrize("place", range(0, 3_000, 211))
def test_a_batch_with_a_damaged_manifest_in_a_bucket_is_loaded_again(
    landing: Landing, address: str, place: int
) -> None:
    land_lines(landing, "lote-0001", b"1")
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    key = f"{prefix}/lote-0001.json"
    manifest = bytearray(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    manifest[place // 8] ^= 1 << place % 8
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=bytes(manifest))

    assert landing.find("lote-0001") is None
    assert landing.find("lote-0001") != land_lines(landing, "lote-0001", b"1") == landing.find("lote-0001")


@pytest.mark.proof
def test_later_commands_use_the_bucket_of_ingest(person: Person, port: int, address: str) -> None:
    ingested = person.run(
        "ingest", "--api-port", str(person.api_port), "--lots", "3", PURCHASE_LANDING=address, **access(port)
    )

    assert ingested.returncode == 0, ingested.stdout + ingested.stderr
    assert [name for name in objects_of(address) if name.endswith(".json")] == [
        "lote-0001.json",
        "lote-0002.json",
        "lote-0003.json",
    ]
    assert not (person.home / "landing").exists()
    verified = person.run("verify", **access(port))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "3 batches verified" in verified.stdout


def has_struck(proxy: TcpProxy) -> bool:
    return any(link.struck for link in proxy.links)
