"""`Content-Digest` of a response (RFC 9530): what the server states, and whether the bytes that came match it."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
# A dictionary of structured fields (RFC 9651), as far as a digest needs it: `sha-256=:...:;a="b", sha-512=:...:`.
_VALUE = r'=(?::([A-Za-z0-9+/=]*):|"(?:[^"\\]|\\.)*"|[^\s",;:]+)'
_KEY = r"[A-Za-z*][\w*.-]*"
_MEMBER = re.compile(rf"[ \t]*({_KEY})(?:{_VALUE})?((?:[ \t]*;[ \t]*{_KEY}(?:{_VALUE})?)*)[ \t]*(?:,|$)")


class ContentDigest:
    """The digests that a server states, compared with those of the bytes as sent and, if encoded, as decoded.

    The standard means the bytes as sent. A proxy that compresses leaves the digest of the plain ones; either proves
    that nothing was damaged.
    """

    def __init__(self, header: str) -> None:
        """Take a header's value; what is no dictionary, and algorithms not known here, are ignored."""
        self._stated = _stated_digests(header)
        self._watched: list[Mapping[str, hashlib._Hash]] = []

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass bytes on, taking their digests: of all that is watched one is to match."""
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
        """Tell whether what passed is what the server states, by every algorithm that it names."""
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
    except binascii.Error:  # no digest has this value, so nothing matches it
        return b""
