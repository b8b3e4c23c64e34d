"""An S3-speaking server, and buckets on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

_ACCESS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def an_object_store() -> Iterator[tuple[str, int]]:
    """Serve S3 on a free loopback port; give host and port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()
    finally:
        server.stop()


def access(port: int) -> dict[str, str]:
    """Return the variables by which a process finds and enters the store."""
    return {**_ACCESS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


def a_bucket(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    """Make a bucket, let this process have access, and return an address in it."""
    for name, value in access(port).items():
        monkeypatch.setenv(name, value)
    forget_connections()
    bucket = f"raw-{uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/lots"


def forget_connections() -> None:
    """Let who opens a bucket next read the variables again: s3fs keeps its clients."""
    S3FileSystem.clear_instance_cache()
