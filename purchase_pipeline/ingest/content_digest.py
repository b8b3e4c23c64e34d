"""Verification of a response's `Content-Digest` (RFC 9530)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
# The subset of a structured-field dictionary (RFC 9651) that a digest needs: `sha-256=:...:;a="b", sha-512=:...:`.
_VALUE = r'=(?::([A-Za-z0-9+/=]*):|"(?:[^"\\]|\\.)*"|[^\s",;:]+)'
_KEY = r"[A-Za-z*][\w*.-]*"
_MEMBER = re.compile(rf"[ \t]*({_KEY})(?:{_VALUE})?((?:[ \t]*;[ \t]*{_KEY}(?:{_VALUE})?)*)[ \t]*(?:,|$)")


class ContentDigest:
    """The digests stated by a server, compared with the bytes as sent and, if encoded, as decoded.

    The standard means the bytes as sent, but a proxy that compresses may leave the digest of the decoded ones. A match
    with either proves that nothing was damaged.
    """

    def __init__(self, header: str) -> None:
        """Parse a header's value; a malformed header and unknown algorithms are ignored."""
        self._stated = _stated_digests(header)
        self._watched: list[Mapping[str, hashlib._Hash]] = []

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes and hash them. One of the watched streams has to match."""
        if not self._stated:
            yield from chunks
            return
        hashes = {name: _ALGORITHMS[name]() for name in self._stated}
        self._watched.append(hashes)
        for chunk in chunks:
            for each in hashes.values():
                each.update(chunk)
            yield chunk

    def matches(self) -> bool:
        """Return whether a watched stream matches every stated digest."""
        found = [{name: each.digest() for name, each in hashes.items()} for hashes in self._watched]
        return not self._stated or self._stated in found


def _stated_digests(header: str) -> dict[str, bytes]:
    stated, at = dict[str, bytes](), 0
    while at < len(header):
        member = _MEMBER.match(header, at)
        if member is None:
            return {}
        name, digest, at = member[1].lower(), member[2], member.end()
        if name in _ALGORITHMS and digest is not None:
            stated[name] = _bytes(digest)
    return stated


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:  # matches no digest
        return b""
