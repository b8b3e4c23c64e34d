"""PostgreSQL that takes what it is sent and answers no more: whether a run's wait for it ends, and the next run's."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from time import monotonic

from purchase_pipeline_tests.tcp_link import Link, let_pass
from purchase_pipeline_tests.tcp_proxy import TcpProxy
from resilience.drills.lot_bench import DATABASE, LotBench
from resilience.drills.outcome import Outcome
from resilience.drills.postgres_wire import at_copy_byte
from resilience.drills.trials import Trial, outcome_of_struck
from resilience.drills.wire_drills import a_lot_on_the_wire

_BOUND_SECONDS = 90.0


def run_half_open(times: int, folder: Path) -> Outcome:
    """Do the drill: silence from half of COPY on; the server does not learn that its client gave up.

    Healed is what ended by itself: both runs, each within a minute and a half.
    """
    with a_lot_on_the_wire(folder) as (bench, proxy, copied), ThreadPoolExecutor(1) as runs:
        return outcome_of_struck(times, lambda: _try_once(bench, proxy, copied, runs))


def _try_once(bench: LotBench, proxy: TcpProxy, copied: int, runs: ThreadPoolExecutor) -> Trial:
    old, new, began = bench.held, bench.next_version(), monotonic()
    opened = len(proxy.links)
    proxy.policy_for = lambda: at_copy_byte(copied // 2, DATABASE, Link.swallow)
    ended = _ends(runs.submit(bench.load, refetch=True), proxy)
    struck = any(link.struck for link in proxy.links[opened:])
    honest = bench.holds(old) or bench.holds(new)
    proxy.policy_for = lambda: let_pass
    ended = _ends(runs.submit(bench.load, refetch=False), proxy) and ended
    seconds, healed = monotonic() - began, ended and bench.holds(new)
    proxy.reset_all()
    if not healed:
        bench.load(refetch=False)
    bench.held = new
    return Trial(
        struck, succeeded=False, honest=honest, surplus=bench.surplus(), healed=healed, seconds=seconds
    )


def _ends(run: "Future[bool]", proxy: TcpProxy) -> bool:
    """Return whether a run ends by itself in time; end one that does not, by tearing down its connections."""
    if run in wait([run], timeout=_BOUND_SECONDS).done:
        return True
    proxy.reset_all()
    wait([run])
    return False
