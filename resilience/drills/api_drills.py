"""Faults of the API, and of the wire before it: a response is corrected by another try or refused, never believed."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, cycle, repeat
from pathlib import Path

import dagster as dg
import httpx

from purchase_pipeline.purchases import purchase_source
from purchase_pipeline_tests.pipelines import a_pipeline, with_api
from purchase_pipeline_tests.tcp_link import Link, Policy, Way, at_byte, at_once, let_pass
from purchase_pipeline_tests.tcp_proxy import TcpProxy, proxied
from resilience.drills import api_faults as faults
from resilience.drills.content import Version
from resilience.drills.faulty_api import FaultyApi, Spoiler
from resilience.drills.lot_bench import Database, LotBench, a_database, an_api
from resilience.drills.outcome import Drill, Outcome
from resilience.drills.trials import Fault, HasStruck, Trial, outcome_of, try_once
from resilience.drills.wire_drills import on_the_wire

_ROWS = 200
_LANES = 3
_READ_SECONDS = 1.0
_LOTE_SECONDS = 2.0
_SHORT = {"row-repeated", "latin-1", "gzip-cut", "endless", "reset"}
"""The kinds tried in the short version too; the others are tested without a database behind them."""


@dataclass
class Lane:
    """A lot of its own, with a proxy before its API, so that several are tried side by side.

    `pipelines` differ in how often they ask: twice, so that the second response makes up for the first; and once, so
    that the run fails and the next one does.
    """

    bench: LotBench
    proxy: TcpProxy
    pipelines: Iterator[dg.Definitions]

    def try_times(self, times: int, fault: Fault) -> list[Trial]:
        """Try so many times, with the pipelines by turns."""
        trials = []
        for _ in range(times):
            self.bench.pipeline = next(self.pipelines)
            trials.append(try_once(self.bench, fault, refetch=True))
        return trials


def _spoiling(spoiler: Spoiler, _: Lane) -> Fault:
    @contextmanager
    def fault(bench: LotBench) -> Iterator[HasStruck]:
        before = bench.api.spoilt[bench.lote]
        bench.api.spoilers[bench.lote] = [spoiler]
        yield lambda: bench.api.spoilt[bench.lote] > before

    return fault


def _breaking(policy: Callable[[], Policy], lane: Lane) -> Fault:
    """Give the first connection that policy, and let the others pass."""

    @contextmanager
    def fault(bench: LotBench) -> Iterator[HasStruck]:
        policies = chain([policy()], repeat(let_pass))
        with on_the_wire(lane.proxy, partial(next, policies))(bench) as has_struck:
            yield has_struck

    return fault


@contextmanager
def _a_lane(lote: str, folder: Path, database: Database, api: FaultyApi, api_url: str) -> Iterator[Lane]:
    with ExitStack() as stack:
        url = httpx.URL(api_url)
        proxy = stack.enter_context(proxied((url.host, url.port or 80)))
        proxy_url = f"http://127.0.0.1:{proxy.port}"
        pipelines = [
            with_api(
                a_pipeline(api_url, folder / lote, database.url),
                purchase_source(
                    proxy_url,
                    attempts=attempts,
                    connect_timeout_seconds=_READ_SECONDS,
                    read_timeout_seconds=_READ_SECONDS,
                    timeout_seconds=_LOTE_SECONDS,
                ),
            )
            for attempts in (2, 1)
        ]
        instance = stack.enter_context(dg.DagsterInstance.ephemeral())
        bench = LotBench(
            lote=lote,
            rows=_ROWS,
            api=api,
            api_url=api_url,
            database=database,
            pipeline=pipelines[0],
            instance=instance,
        )
        bench.held = bench.next_version()
        if not bench.load(refetch=True) or not bench.holds(bench.held):
            raise RuntimeError(f"{lote} could not be loaded before anything was broken")
        yield Lane(bench, proxy, cycle(pipelines))


def _run(
    fault_for: Callable[[Lane], Fault], sent_as: Callable[[Version], Version], times: int, folder: Path
) -> Outcome:
    with ExitStack() as stack:
        database = stack.enter_context(a_database(folder))
        api, api_url = stack.enter_context(an_api())
        number = min(_LANES, -(-times // 4))
        lanes = [
            stack.enter_context(_a_lane(f"lote-{n:04d}", folder, database, api, api_url))
            for n in range(1, number + 1)
        ]
        shares = [len(range(n, times, number)) for n in range(number)]
        for lane in lanes:
            lane.bench.sent_as = sent_as
        with ThreadPoolExecutor(number) as pool:
            done = pool.map(lambda lane, share: lane.try_times(share, fault_for(lane)), lanes, shares)
            return outcome_of([trial for trials in done for trial in trials])


def _as_it_is(version: Version) -> Version:
    return version


def _of_other_rows(
    change: Callable[[Sequence[bytes]], Sequence[bytes]], rejects: int, version: Version
) -> Version:
    """Return what a changed lot must be when it is loaded as it was sent."""
    rows = change(version.raw_rows)
    digest = hashlib.sha256(faults.as_ndjson(rows)).hexdigest()
    return replace(version, digest=f"sha256:{digest}", raw_rows=rows, rejects=rejects)


def _spoilt(
    name: str, fault: str, spoiler: Spoiler, sent_as: Callable[[Version], Version] = _as_it_is
) -> Drill:
    return _drill(name, fault, partial(_run, partial(_spoiling, spoiler), sent_as))


def _loaded_as_sent(
    name: str, fault: str, change: Callable[[faults.Rows], faults.Rows], rejects: int
) -> Drill:
    return _spoilt(name, fault, faults.with_rows(change), partial(_of_other_rows, change, rejects))


def _broken(name: str, fault: str, policy: Callable[[], Policy]) -> Drill:
    return _drill(name, fault, partial(_run, partial(_breaking, policy), _as_it_is))


def _drill(name: str, fault: str, run: Callable[[int, Path], Outcome]) -> Drill:
    return Drill(f"api-{name}", fault, full=100, short=2 if name in _SHORT else 0, run=run)


DRILLS = (
    _spoilt("429-seconds", "429, `Retry-After: 1`", faults.status(429, retry_after="1")),
    _spoilt("429-date", "429, `Retry-After` a date", faults.too_many_requests_until()),
    _spoilt("500", "500", faults.status(500, b'{"status": 500}', "application/problem+json")),
    _spoilt(
        "502-page", "502 with a proxy's HTML page", faults.status(502, b"<h1>Bad Gateway</h1>", "text/html")
    ),
    _spoilt("503", "503", faults.status(503)),
    _spoilt("redirect", "Redirect to elsewhere", faults.status(302, location="/elsewhere")),
    _spoilt(
        "200-with-error",
        "200 with an error document",
        faults.status(200, b'{"error": "x"}', "application/json"),
    ),
    _spoilt("empty-body", "200 with an empty body", faults.status(200, b"", "application/x-ndjson")),
    _spoilt("wrong-type", "Rows under a wrong content type", faults.of_media_type("text/html")),
    _spoilt("row-missing", "One row too few", faults.with_rows(faults.one_short)),
    _spoilt("row-doubled", "A row twice, one too many", faults.with_rows(faults.one_doubled)),
    _loaded_as_sent("row-repeated", "A row twice, in place of another: loaded as sent", faults.repeated, 0),
    _spoilt("latin-1", "Response in Latin-1", faults.in_encoding("latin-1")),
    _spoilt("utf-16", "Response in UTF-16", faults.in_encoding("utf-16")),
    _spoilt("gzip", "Response compressed", faults.gzipped()),
    _spoilt("gzip-cut", "Response compressed and truncated", faults.gzipped(0.9)),
    _spoilt("gzip-members", "Response compressed, in two members", faults.in_two("gzip")),
    _spoilt("zstd-frames", "Response compressed, in two zstd frames", faults.in_two("zstd")),
    _spoilt("last-row-cut", "Response truncated in its last row", faults.last_row_cut("identity")),
    _spoilt("gzip-last-row-cut", "gzip truncated in the last row", faults.last_row_cut("gzip")),
    _spoilt("deflate-last-row-cut", "deflate truncated in the last row", faults.last_row_cut("deflate")),
    _spoilt("zstd-last-row-cut", "zstd truncated in the last row", faults.last_row_cut("zstd")),
    _spoilt("array-cut", "JSON array truncated", faults.as_array(share=0.9)),
    _spoilt("array-nested", "100,000 brackets in a JSON array", faults.as_array(faults.with_deep_nesting)),
    _loaded_as_sent("nested-row", "A row of 100,000 brackets: quarantine", faults.with_deep_nesting, 1),
    _loaded_as_sent("huge-field", "A field of 5 MB: quarantine", faults.with_huge_field, 1),
    _loaded_as_sent("nul", "A NUL in a row: quarantine", faults.with_nul, 1),
    _spoilt("wrong-digest", "Bytes that do not match the digest", faults.with_stale_digest()),
    _spoilt("wrong-length", "Content-Length larger than the body", faults.with_wrong_length()),
    _spoilt("drip", "64 bytes every 0.05 s", faults.streamed(faults.drops, seconds_between=0.05)),
    _spoilt("endless", "Endless rows", faults.streamed(faults.without_end)),
    _spoilt("endless-line", "An endless line", faults.streamed(faults.line_without_end)),
    _broken("cut", "NDJSON truncated at 20 kB", lambda: at_byte(20_000, Way.DOWN, Link.cut)),
    _broken("reset", "Connection reset at 20 kB", lambda: at_byte(20_000, Way.DOWN, Link.reset)),
    _broken("half-open", "Connection half open at 20 kB", lambda: at_byte(20_000, Way.DOWN, Link.swallow)),
    _broken("no-answer", "Connection reset at the request", lambda: at_once(Link.reset)),
)
