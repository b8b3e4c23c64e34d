"""Bends bytes out of shape, seeded: what hypothesis builds well but slowly, multiplied."""

from collections.abc import Callable, Sequence
from random import Random

from purchase_pipeline_tests.builders import FIELDS

TOKENS = (
    *(
        b"\x00",
        b"\\u0000",
        b"\\ud83d",
        b"\\ude00\\ud83d",
        b"\xed\xa0\xbd",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xc1",
    ),
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"-1e400",
        b"1e-400",
        b"-0.0",
        b"9" * 400,
        b"0." + b"1" * 400,
    ),
    *(
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b'" "',
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r",
    ),
    *(
        b'"2024-02-30"',
        b'"99999-01-01"',
        b'"0000-00-00"',
        b'"2024-03-09T00:00:00Z"',
        b"1704153600",
        b"2147483648",
    ),
    *(
        b'{"a":' * 300,
        b"[" * 10_000,
        b'"price":1,',
        b'"price":-1,',
        b'"cupom":1,',
        b"\xe2\x80\xa8",
        b"\x1b[31m",
    ),
)

Mutation = Callable[[Random, bytes], bytes]


def _span(random: Random, raw: bytes) -> tuple[int, int]:
    first = random.randrange(len(raw) + 1)
    return first, first + random.randrange(20)


def _insert_token(random: Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw) + 1)
    return raw[:at] + random.choice(TOKENS) + raw[at:]


def _replace_value(random: Random, raw: bytes) -> bytes:
    """Put a token where a field's value is, in a row that is still a row."""
    head, name, tail = raw.partition(b'"%s":' % random.choice(FIELDS).encode())
    value, comma, rest = tail.partition(b",")
    return head + name + random.choice(TOKENS) + comma + rest if comma else head + name + value


def _flip_byte(random: Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw) + 1)
    return raw[:at] + random.randbytes(1) + raw[at + 1 :]


def _drop(random: Random, raw: bytes) -> bytes:
    first, last = _span(random, raw)
    return raw[:first] + raw[last:]


def _repeat(random: Random, raw: bytes) -> bytes:
    first, last = _span(random, raw)
    return raw[:last] + raw[first:last] * random.randrange(1, 50) + raw[last:]


def _cut(random: Random, raw: bytes) -> bytes:
    return raw[: random.randrange(len(raw) + 1)]


def _encode_anew(random: Random, raw: bytes) -> bytes:
    return raw.decode("latin-1").encode(random.choice(["utf-8", "utf-16", "utf-32-be", "utf-7"]))


MUTATIONS: tuple[Mutation, ...] = (
    *(_insert_token, _replace_value, _replace_value, _flip_byte, _drop, _repeat, _cut, _encode_anew),
)


def mutated(random: Random, blocks: Sequence[bytes]) -> bytes:
    """Bend one of the blocks, up to three times over."""
    raw = random.choice(blocks)
    for _ in range(random.randrange(4)):
        raw = random.choice(MUTATIONS)(random, raw)
    return raw
