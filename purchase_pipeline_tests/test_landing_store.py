"""The landing in a folder: atomic, verified, byte for byte."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import pytest

from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON, Json, RowFormat
from purchase_pipeline.ingest.landing.backend import LandingUnavailableError
from purchase_pipeline.ingest.landing.manifest import LandedPage, LandedPartition, file_name_of
from purchase_pipeline.ingest.landing.pages import DamagedFileError
from purchase_pipeline.ingest.landing.store import LandedAgainError, Landing, landing_at
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.sources.request import AddPage, Page
from purchase_pipeline_tests.landed import land_lines, land_page, rewrite, rows_of

LANDS_UNTIL_KILLED = """
import sys
import time

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.sources.request import Page


def chunks():
    for number in range(40):
        yield b"%d" % number * 100_000 + b"\\n"
    print("half", flush=True)
    time.sleep(60)


landing_at(sys.argv[1]).land("lote-0001", lambda add_page: add_page(Page(NDJSON, chunks())))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Path of a landing folder that does not exist yet."""
    return tmp_path / "raw" / "landing"


@pytest.fixture
def landing(folder: Path) -> Landing:
    """A landing in that folder."""
    return landing_at(str(folder))


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_batch_lands_with_its_manifest(landing: Landing, folder: Path) -> None:
    before = datetime.now(UTC)

    landed = land_page(landing, "lote-0001", Page(JSON_ARRAY, [b'[{"a":', b"1},2]"]))

    digest = hashlib.sha256(b'[{"a":1},2]').hexdigest()
    assert landed == LandedPartition(
        partition="lote-0001",
        rows=2,
        pages=(LandedPage(format=JSON_ARRAY, rows=2, raw_bytes=11),),
        digest=f"sha256:{digest}",
        raw_bytes=11,
        file_name=f"lote-0001.{digest[:16]}.zst",
        received_at=landed.received_at,
    )
    assert before <= landed.received_at <= datetime.now(UTC)
    assert files_of(folder) == [landed.file_name, "lote-0001.json"]


def test_a_landed_batch_is_found_later(landing: Landing, folder: Path) -> None:
    landed = land_lines(landing, "lote-0001", b"1")

    assert landing_at(str(folder)).find("lote-0001") == landed


def test_a_batch_that_has_not_landed_is_not_found(landing: Landing) -> None:
    assert landing.find("lote-0001") is None

    land_lines(landing, "lote-0001", b"1")

    assert landing.find("lote-000") is None
    assert landing.find("lote-00011") is None


@pytest.mark.parametrize(
    ("raw_format", "raw"),
    [
        (NDJSON, b'{"a":"\xff\xc1 \x00"}\r\n\n{"a":"Jos\xc3\xa9"}'),
        (JSON_ARRAY, b'[{"a":"\xff\xc1 \x00"}\r, {"a":"Jos\xc3\xa9"} ]'),
    ],
)
def test_rows_come_back_byte_for_byte(landing: Landing, raw_format: RowFormat, raw: bytes) -> None:
    landed = land_page(landing, "a", Page(raw_format, [raw[:9], raw[9:]]))

    first = b'{"a":"\xff\xc1 \x00"}' + (b"\r" if raw_format is NDJSON else b"")
    assert rows_of(landing, landed) == [first, b'{"a":"Jos\xc3\xa9"}']


@pytest.mark.parametrize("raw_format", [NDJSON, JSON_ARRAY])
def test_a_batch_of_many_chunks_is_compressed(landing: Landing, folder: Path, raw_format: RowFormat) -> None:
    rows = [b'{"linha":%d,"job":"Engenheiro"}' % linha for linha in range(50_000)]
    raw = b"\n".join(rows) if raw_format is NDJSON else b"[" + b",".join(rows) + b"]"

    chunks = (raw[at : at + 9_999] for at in range(0, len(raw), 9_999))

    landed = land_page(landing, "a", Page(raw_format, chunks))

    assert rows_of(landing, landed) == rows
    assert landed.raw_bytes == len(raw)
    assert (folder / landed.file_name).stat().st_size < len(raw) / 4


def test_a_truncated_array_does_not_land(landing: Landing, folder: Path) -> None:
    with pytest.raises(UnreadableResponseError, match="malformed or truncated"):
        land_page(landing, "a", Page(JSON_ARRAY, [b"[1,2"]))

    assert landing.find("a") is None
    assert files_of(folder) == []


def test_a_page_that_fails_leaves_the_others_and_may_be_added_again(landing: Landing) -> None:
    first, again = Page(NDJSON, [b"1\n"], {"series": "usd"}), Page(Json(rows="items"), [b'{"items":[2,3]}'])

    def fetch(add_page: AddPage) -> None:
        add_page(first)
        with pytest.raises(UnreadableResponseError):
            add_page(Page(JSON_ARRAY, [b"[" + b"7," * 1_000_000]))
        assert add_page(again).envelope == {"items": []}

    landed = landing.land("a", fetch)

    assert landed.pages == (
        LandedPage(format=NDJSON, rows=1, raw_bytes=2, variables={"series": "usd"}),
        LandedPage(format=again.format, rows=2, raw_bytes=15),
    )
    assert landed.digest == "sha256:" + hashlib.sha256(b'1\n{"items":[2,3]}').hexdigest()
    assert landing.find("a") == landed
    assert landing.is_whole(landed)
    assert rows_of(landing, landed) == [b"1", b"2", b"3"]
    with landing.open_rows(landed) as rows:
        pages = [(page.page.variables, list(page.rows)) for page in rows.pages()]
    assert pages == [({"series": "usd"}, [b"1"]), ({}, [b"2", b"3"])]


def test_the_rest_of_the_rows_follows_the_pages_that_were_read(landing: Landing) -> None:
    landed = land_page(landing, "a", *(Page(NDJSON, [b"%d\n%d\n" % (n, n + 1)]) for n in (1, 3, 5)))

    with landing.open_rows(landed) as rows:
        pages = rows.pages()
        next(pages)
        assert next(next(pages).rows) == b"3"
        assert list(rows) == [b"4", b"5", b"6"]


def test_a_partition_without_pages_lands_empty(landing: Landing) -> None:
    landed = landing.land("a", lambda _: None)

    assert (landed.rows, landed.pages, landing.is_whole(landed), rows_of(landing, landed)) == (
        0,
        (),
        True,
        [],
    )
    assert landing.find("a") == landed


def test_a_manifest_of_one_format_is_read_as_one_page(landing: Landing, folder: Path) -> None:
    landed = land_lines(landing, "lote-0001", b"1", b"2")
    older = landed.model_dump(mode="json", exclude={"pages", "partition"})
    older |= {"lote": "lote-0001", "raw_format": "application/x-ndjson"}

    (folder / "lote-0001.json").write_text(json.dumps(older))

    assert landing.find("lote-0001") == landed
    assert rows_of(landing, landed) == [b"1", b"2"]


def test_landing_again_replaces_the_batch_and_removes_its_old_file(landing: Landing, folder: Path) -> None:
    old = land_lines(landing, "lote-0001", b"old")
    other = land_lines(landing, "lote-00011", b"other")

    new = land_lines(landing, "lote-0001", b"new", b"er")

    assert landing.find("lote-0001") == new
    assert rows_of(landing, new) == [b"new", b"er"]
    assert rows_of(landing, other) == [b"other"]
    assert old.file_name not in files_of(folder)
    assert len(files_of(folder)) == 4


def test_landing_the_same_bytes_again_keeps_their_file(landing: Landing, folder: Path) -> None:
    land_lines(landing, "a", b"1")

    again = land_lines(landing, "a", b"1")

    assert files_of(folder) == [again.file_name, "a.json"]
    assert rows_of(landing, again) == [b"1"]


def test_a_reader_keeps_its_batch_while_another_lands(landing: Landing) -> None:
    old_rows = [b"%d" % number * 1_000 for number in range(1_000)]
    old = land_lines(landing, "a", *old_rows)

    with landing.open_rows(old) as rows:
        first = next(rows)
        land_lines(landing, "a", b"new")
        rest = list(rows)

    assert [first, *rest] == old_rows


@pytest.mark.parametrize("good_chunks", [0, 1, 100])
def test_an_error_while_landing_keeps_only_the_old_file(
    landing: Landing, folder: Path, good_chunks: int
) -> None:
    old = land_lines(landing, "a", b"old")
    files = files_of(folder)

    def breaking() -> Iterator[bytes]:
        for _ in range(good_chunks):
            yield b"new\n" * 10_000
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError, match="cut"):
        land_page(landing, "a", Page(NDJSON, breaking()))

    assert landing.find("a") == old
    assert rows_of(landing, old) == [b"old"]
    assert files_of(folder) == files


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    landing = landing_at(str(tmp_path / "raw"))
    (tmp_path / "raw").write_text("a file by now")

    with pytest.raises(LandingUnavailableError) as caught:
        land_lines(landing, "a", b"1")

    assert str(caught.value) == (
        f"Cannot write to the landing folder {tmp_path}/raw: File exists. Check its owner and permissions, or choose "
        "another folder with PURCHASE_LANDING."
    )


def test_a_full_disk_is_named(landing: Landing, folder: Path) -> None:
    def filling() -> Iterator[bytes]:
        yield b"1\n"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write raises it

    with pytest.raises(LandingUnavailableError, match=f"folder {folder}: No space left on device. Free some"):
        land_page(landing, "a", Page(NDJSON, filling()))

    assert files_of(folder) == []


def test_an_error_while_landing_the_first_time_leaves_nothing(landing: Landing, folder: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"1\n"
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError, match="cut"):
        land_page(landing, "a", Page(NDJSON, breaking()))

    assert landing.find("a") is None
    assert files_of(folder) == []


@pytest.mark.parametrize("landed_before", [True, False])
def test_a_process_killed_while_landing_keeps_the_old_file(
    landing: Landing, folder: Path, *, landed_before: bool
) -> None:
    old = land_lines(landing, "lote-0001", b"old") if landed_before else None

    command = [sys.executable, "-c", LANDS_UNTIL_KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.kill()

    assert landing.find("lote-0001") == old
    assert old is None or rows_of(landing, old) == [b"old"]
    assert rows_of(landing, land_lines(landing, "lote-0001", b"new")) == [b"new"]


def test_staged_files_of_killed_processes_are_removed_after_an_hour(landing: Landing, folder: Path) -> None:
    command = [sys.executable, "-c", LANDS_UNTIL_KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    (abandoned,) = folder.iterdir()

    os.utime(abandoned, times=(time(), time() - timedelta(minutes=59).total_seconds()))
    land_lines(landing, "lote-0002", b"1")
    assert abandoned.exists()

    os.utime(abandoned, times=(time(), time() - timedelta(minutes=61).total_seconds()))
    earlier = folder / ".arriving-abcdefgh"  # as version 0.1 named its own
    earlier.touch()
    os.utime(earlier, times=(0, 0))
    landed = land_lines(landing, "lote-0002", b"1")
    assert files_of(folder) == [landed.file_name, "lote-0002.json"]


def test_an_unreferenced_file_is_ignored_and_removed_at_the_next_landing(
    landing: Landing, folder: Path
) -> None:
    landed = land_lines(landing, "a", b"1")
    (folder / "a.json").unlink()

    assert landing.find("a") is None

    again = land_lines(landing, "a", b"2")
    assert files_of(folder) == [again.file_name, "a.json"]
    assert again.file_name != landed.file_name


def test_a_batch_with_a_missing_file_has_not_landed(landing: Landing, folder: Path) -> None:
    landed = land_lines(landing, "a", b"1")

    (folder / landed.file_name).unlink()

    assert landing.find("a") is None
    assert landing.find("a") != land_lines(landing, "a", b"1") == landing.find("a")


def flip_a_byte(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip_a_byte, cut_in_half, Path.unlink])
def test_a_damaged_file_is_detected(landing: Landing, folder: Path, damage: Callable[[Path], None]) -> None:
    landed = land_lines(landing, "a", *(b"%d" % number for number in range(10_000)))
    assert landing.is_whole(landed)

    damage(folder / landed.file_name)

    assert not landing.is_whole(landed)


@pytest.mark.parametrize("damage", [flip_a_byte, Path.unlink])
def test_reading_a_damaged_file_fails(landing: Landing, folder: Path, damage: Callable[[Path], None]) -> None:
    landed = land_lines(landing, "a", *(b"%d" % number for number in range(10_000)))

    damage(folder / landed.file_name)

    with pytest.raises(DamagedFileError, match=r"a: the landed file .* is missing or damaged"):
        rows_of(landing, landed)


def flipped_bits(text: bytes, step: int = 1) -> Iterator[bytes]:
    for place in range(0, len(text) * 8, step):
        changed = bytearray(text)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def test_every_flipped_bit_of_a_file_is_detected(landing: Landing, folder: Path) -> None:
    landed = land_lines(landing, "a", *(b"%d" % number for number in range(2_000)))
    file = folder / landed.file_name

    for changed in flipped_bits(file.read_bytes(), step=37):
        file.write_bytes(changed)
        assert not landing.is_whole(landed)
        with pytest.raises(DamagedFileError):
            rows_of(landing, landed)


def test_a_changed_digit_is_detected_while_reading_rows(landing: Landing, folder: Path) -> None:
    landed = land_lines(landing, "a", b'{"price":10.5}', b'{"price":20.5}')

    rewrite(folder / landed.file_name, b"20.5", b"29.5")

    assert not landing.is_whole(landed)
    with pytest.raises(DamagedFileError, match=r"a: the landed file .*its content has changed"):
        rows_of(landing, landed)


@pytest.mark.parametrize("refused", [False, True])
def test_every_flipped_bit_of_a_manifest_is_detected(
    landing: Landing, folder: Path, *, refused: bool
) -> None:
    landed = land_lines(landing, "lote-0001", b"1")
    land_lines(landing, "lote-0003", b"3")  # a bit from its name
    if refused:
        landing.refuse(landed)
    manifest = folder / "lote-0001.json"

    for changed in flipped_bits(manifest.read_bytes()):
        manifest.write_bytes(changed)
        assert landing.find("lote-0001") is None, changed

    landed = land_lines(landing, "lote-0001", b"1")
    assert landing.find("lote-0001") == landed
    assert rows_of(landing, landed) == [b"1"]


def test_a_manifest_of_another_batch_is_ignored(landing: Landing, folder: Path) -> None:
    land_lines(landing, "lote-0001", b"1")
    land_lines(landing, "lote-0002", b"2")

    (folder / "lote-0001.json").write_bytes((folder / "lote-0002.json").read_bytes())

    assert landing.find("lote-0001") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lote-0001", "lote-0003"),
        ("sha256:", "sha257:"),
        (".zst", ".zsu"),
        ('"rows"', '"rowt"'),
        ("refused", "x"),
    ],
)
def test_a_consistent_manifest_of_an_older_version_is_accepted(
    landing: Landing, folder: Path, old: str, new: str
) -> None:
    landed = land_lines(landing, "lote-0001", b"1")
    land_lines(landing, "lote-0003", b"1")
    older = landed.model_dump_json(indent=2)  # without a checksum

    (folder / "lote-0001.json").write_text(older)
    assert landing.find("lote-0001") == landed

    (folder / "lote-0001.json").write_text(older.replace('"partition"', '"lote"'))
    assert landing.find("lote-0001") == landed

    (folder / "lote-0001.json").write_text(older.replace(old, new, 1))
    assert landing.find("lote-0001") is None


def test_a_landed_batch_is_not_the_newest_after_another_landing(landing: Landing) -> None:
    landed = land_lines(landing, "a", b"1")
    landing.refuse(landed)
    land_lines(landing, "a", b"1")
    landing.require_newest(landed)  # the same bytes

    newest = land_lines(landing, "a", b"2")

    landing.require_newest(newest)
    with pytest.raises(
        LandedAgainError, match=f"a: {landed.digest} was not loaded, because {newest.digest} has landed since"
    ):
        landing.require_newest(landed)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"\xff"])
def test_a_batch_whose_manifest_cannot_be_read_has_not_landed(
    landing: Landing, folder: Path, manifest: bytes
) -> None:
    land_lines(landing, "a", b"1")

    (folder / "a.json").write_bytes(manifest)

    assert landing.find("a") is None
    assert landing.find("a") != land_lines(landing, "a", b"1") == landing.find("a")


def test_a_refused_batch_stays_refused_until_it_lands_again(landing: Landing) -> None:
    landed = land_lines(landing, "a", b"bad")

    landing.refuse(landed)

    refused = landing.find("a")
    assert refused == landed.model_copy(update={"refused": True})
    assert rows_of(landing, refused) == [b"bad"]
    assert not land_lines(landing, "a", b"bad").refused


def test_a_batch_that_landed_again_meanwhile_is_not_refused(landing: Landing) -> None:
    old, new = land_lines(landing, "a", b"bad"), land_lines(landing, "a", b"good")

    landing.refuse(old)

    assert landing.find("a") == new


def test_concurrent_landings_of_a_batch_leave_one_complete(landing: Landing, folder: Path) -> None:
    def land(number: int) -> None:
        for turn in range(20):
            land_lines(landing, "a", b"%d" % number, b"%d" % turn)
            found = landing.find("a")
            assert found is not None
            assert landing.is_whole(found) or landing.find("a") != found

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(land, range(4)))

    landed = landing.find("a")
    assert landed is not None
    assert landing.is_whole(landed)
    assert files_of(folder) == [landed.file_name, "a.json"]


ODD_KEYS = [
    "",
    *(
        "2026-01-05|br",
        "São Paulo",
        "a/b",
        "../a",
        "a\\b",
        ".",
        "..",
        "a.b",
        "/etc/passwd",
        "a*",
        "a\n",
        "a\0",
    ),
    *("%", "%2E", "a%2Fb", "x" * 101, "x" * 300, "x" * 299 + "y", "é" * 100, "日" * 100),
]


def test_any_partition_key_lands_under_a_name_of_its_own(landing: Landing, folder: Path) -> None:
    keys = [*ODD_KEYS, "a", "x" * 100, "São"]
    landed = {key: land_lines(landing, key, b"%d" % number) for number, key in enumerate(keys)}

    assert {key: landing.find(key) for key in keys} == landed
    assert [rows_of(landing, landed[key]) for key in keys] == [
        [b"%d" % number] for number in range(len(keys))
    ]
    assert len(files_of(folder)) == 2 * len(keys)
    assert {path.parent for path in folder.rglob("*")} == {folder}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("lote-0001", "lote-0001"),
        ("2026-01-05", "2026-01-05"),
        ("São", "São"),
        ("2026-01-05|br", "2026-01-05%7Cbr"),
        ("a.b/c", "a%2Eb%2Fc"),
        ("", "%"),
    ],
)
def test_the_name_of_a_file_is_the_key_percent_encoded_where_needed(key: str, name: str) -> None:
    assert file_name_of(key, "sha256:" + "0" * 64) == f"{name}.{'0' * 16}.zst"
