"""Content-Digest headers in every form, valid or not."""

import base64
import hashlib

import pytest

from purchase_pipeline.ingest.content_digest import ContentDigest

BODY = b"1\n2\n"


def of(algorithm: str, body: bytes = BODY) -> str:
    digest = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


def matches(header: str, sent: bytes = BODY) -> bool:
    digest = ContentDigest(header)
    assert b"".join(digest.watch([sent[:1], sent[1:]])) == sent
    return digest.matches()


@pytest.mark.parametrize(
    "header",
    [
        of("sha-256"),
        of("sha-512"),
        f"{of('sha-256')}, {of('sha-512')}",
        f"{of('sha-512')},{of('sha-256')}",
        f"  {of('sha-256')}\t,\t{of('sha-512')} ",
        of("sha-256").replace("sha", "SHA"),
        f'{of("sha-256")};created=1700000000;by="a, \\" proxy"; fresh',
        f"md5=:AAAA:, {of('sha-256')}",
        f'unixsum=30637, crc32c=:AAAAAA==:, id="a,b", flag, {of("sha-256")}',
        f"{of('sha-256', b'older')}, {of('sha-256')}",
    ],
)
def test_a_digest_is_compared_in_any_notation(header: str) -> None:
    assert matches(header)
    assert not matches(header, b"1\n3\n")


@pytest.mark.parametrize(
    "header",
    [
        f"{of('sha-256')}, {of('sha-512', b'other')}",
        f"{of('sha-256', b'other')}, {of('sha-512')}",
        "sha-512=:AAAA:",
        "sha-256=:A:",
        "sha-256=::",
    ],
)
def test_each_known_digest_must_match(header: str) -> None:
    assert not matches(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "md5",
        "md5=:AAAA:",
        "sha-256",
        "sha-256=AAAA",
        "sha-256=:****:",
        "=:AAAA:",
        '"sha-256=:AAAA:"',
        ",",
        "sha-256=:AAAA:;",
        "a=" * 50_000,
        ";" * 50_000,
    ],
)
def test_a_malformed_digest_is_ignored(header: str) -> None:
    assert matches(header)


def test_either_the_encoded_or_the_decoded_bytes_may_match() -> None:
    for stated in (BODY, b"encoded"):
        digest = ContentDigest(of("sha-256", stated))
        for watched in (b"encoded", BODY):
            list(digest.watch([watched]))
        assert digest.matches()
