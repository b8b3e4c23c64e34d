"""Services are restarted and stopped with their children; other processes are left alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil
import pytest

from purchase_pipeline.stack.processes import Processes, Service, ServiceFailedError, stop_leftovers
from purchase_pipeline_tests.waiting import wait_until

WITH_A_FAMILY = """
(sleep 300 & echo orphan $!)
sh -c 'sleep 300 & echo grandchild $!; exec sleep 300' &
echo child $!
echo leader $$
exec sleep 300
"""
STUBBORN = "trap '' TERM; echo leader $$; while :; do sleep 300 & wait; done"
STARTS_ANOTHER_AT_ITS_END = (
    "trap 'sleep 300 & echo late $!; exit 0' TERM; echo leader $$; while :; do sleep 0.05; done"
)
OWNS_UNTIL_KILLED = """
import sys
import time
from pathlib import Path

from purchase_pipeline.stack.processes import Processes, Service

home = Path(sys.argv[1])
processes = Processes(home)
for name in ("first", "second"):
    script = "sleep 300 & echo child $!; echo leader $$; exec sleep 300"
    processes.start(Service(name, ["sh", "-c", script]))
print("started", flush=True)
time.sleep(300)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.stop_all()


def a_service(script: str, name: str = "service", *, stop_seconds: float = 10.0) -> Service:
    return Service(name, ["sh", "-c", script], stop_seconds=stop_seconds)


def told_pids(log: Path, *names: str) -> dict[str, int]:
    """Wait for the PIDs of a service's processes in its log, and return the latest ones."""

    def reported() -> dict[str, int]:
        words = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return {line[0]: int(line[1]) for line in words if len(line) == 2}

    wait_until(lambda: reported().keys() >= set(names))
    return reported()


def is_running(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def killed(pid: int) -> None:
    psutil.Process(pid).kill()
    wait_until(lambda: not is_running(pid))


def test_a_service_runs_in_its_own_session(processes: Processes) -> None:
    processes.start(a_service("echo leader $$; exec sleep 300"))

    pid = told_pids(processes.log_of("service"), "leader")["leader"]

    processes.check("service")
    assert os.getsid(pid) == pid != os.getsid(0)


def test_a_services_output_goes_to_its_log(processes: Processes, tmp_path: Path) -> None:
    processes.start(a_service("echo out; echo err >&2; echo end; exec sleep 300", "api"))

    log = processes.log_of("api")

    assert log == tmp_path / "logs" / "api.log"
    wait_until(lambda: log.exists() and "end" in log.read_text())
    assert log.read_text() == "out\nerr\nend\n"


def test_a_service_inherits_and_extends_the_environment(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("BOTH", "ours")

    processes.start(
        Service(
            "service", ["sh", "-c", "echo $OURS $BOTH $ITS.; exec sleep 300"], {"BOTH": "its", "ITS": "2"}
        )
    )

    log = processes.log_of("service")
    wait_until(lambda: log.read_text() == "1 its 2.\n")


def test_a_dead_service_is_reported_with_the_end_of_its_log(processes: Processes) -> None:
    processes.start(a_service("seq 1 20; printf 'n\\343o\\n'; exit 3"))

    def died() -> bool:
        processes.check("service")
        return False

    with pytest.raises(ServiceFailedError) as failed:
        wait_until(died)

    first, *rest = str(failed.value).splitlines()
    log = processes.log_of("service")
    assert first == f"service ended with exit code 3. Last lines of {log}:"
    assert rest == [*map(str, range(7, 21)), "n\ufffdo"]


def test_only_killed_services_are_restarted(processes: Processes) -> None:
    processes.start(a_service("echo leader $$; exec sleep 300", "a"))
    processes.start(a_service("echo leader $$; exec sleep 300", "b"))
    first = told_pids(processes.log_of("a"), "leader")["leader"]
    other = told_pids(processes.log_of("b"), "leader")["leader"]
    assert processes.revive() == []

    killed(first)

    wait_until(lambda: processes.revive() == ["a"])
    wait_until(lambda: told_pids(processes.log_of("a"), "leader")["leader"] != first)
    processes.check("a")
    assert is_running(told_pids(processes.log_of("a"), "leader")["leader"])
    assert told_pids(processes.log_of("b"), "leader")["leader"] == other
    assert processes.revive() == []


def test_orphans_of_a_killed_service_end_before_its_restart(processes: Processes) -> None:
    processes.start(a_service(WITH_A_FAMILY))
    old = told_pids(processes.log_of("service"), "leader", "child", "grandchild", "orphan")

    killed(old["leader"])
    wait_until(lambda: processes.revive() == ["service"])

    assert [name for name, pid in old.items() if is_running(pid)] == []
    processes.check("service")


def test_a_service_that_keeps_ending_is_not_restarted(processes: Processes) -> None:
    processes.start(a_service("echo no luck; exit 4"))
    deaths = 0

    def gave_up() -> bool:
        nonlocal deaths
        deaths += len(processes.revive())
        return False

    with pytest.raises(ServiceFailedError, match="service ended with exit code 4") as failed:
        wait_until(gave_up)

    assert deaths == 5
    assert "no luck" in str(failed.value)


def test_stopping_ends_all_children(processes: Processes) -> None:
    processes.start(a_service(WITH_A_FAMILY))
    pids = told_pids(processes.log_of("service"), "leader", "child", "grandchild", "orphan")
    assert all(is_running(pid) for pid in pids.values())

    processes.stop("service")

    assert [name for name, pid in pids.items() if is_running(pid)] == []


def test_stopping_ends_the_children_of_a_dead_leader(processes: Processes) -> None:
    processes.start(a_service(WITH_A_FAMILY))
    pids = told_pids(processes.log_of("service"), "leader", "child", "grandchild", "orphan")

    killed(pids["leader"])
    processes.stop("service")

    assert [name for name, pid in pids.items() if is_running(pid)] == []


def test_stopping_ends_children_started_while_stopping(processes: Processes) -> None:
    processes.start(a_service(STARTS_ANOTHER_AT_ITS_END))
    told_pids(processes.log_of("service"), "leader")

    processes.stop("service")

    assert not is_running(told_pids(processes.log_of("service"), "late")["late"])


def test_a_service_that_ignores_sigterm_is_killed(processes: Processes) -> None:
    processes.start(a_service(STUBBORN, stop_seconds=0.5))
    pid = told_pids(processes.log_of("service"), "leader")["leader"]

    started = monotonic()
    processes.stop("service")

    assert not is_running(pid)
    assert 0.5 <= monotonic() - started < 15


def test_a_service_may_take_its_time_to_end(processes: Processes) -> None:
    processes.start(
        a_service("trap 'sleep 0.3; echo bye; exit 0' TERM; echo leader $$; while :; do sleep 0.05; done")
    )
    told_pids(processes.log_of("service"), "leader")

    processes.stop("service")

    assert processes.log_of("service").read_text().splitlines()[-1] == "bye"


def test_services_are_stopped_in_reverse_order(processes: Processes, tmp_path: Path) -> None:
    order = tmp_path / "order"
    for name in ("a", "b", "c"):
        script = f"trap 'echo {name} >> {order}; exit 0' TERM; echo leader $$; while :; do sleep 0.05; done"
        processes.start(a_service(script, name))
    pids = [told_pids(processes.log_of(name), "leader")["leader"] for name in ("a", "b", "c")]

    processes.stop_all()

    assert order.read_text().split() == ["c", "b", "a"]
    assert not any(is_running(pid) for pid in pids)


def test_stopping_a_stopped_service_does_nothing(processes: Processes, tmp_path: Path) -> None:
    processes.stop("service")
    processes.stop_all()

    assert list(tmp_path.iterdir()) == []


def test_an_unregistered_service_is_stopped_with_the_others(tmp_path: Path) -> None:
    forgotten, processes = Processes(tmp_path), Processes(tmp_path)
    forgotten.start(a_service("echo leader $$; exec sleep 300"))
    pid = told_pids(forgotten.log_of("service"), "leader")["leader"]

    processes.stop_all()

    assert not is_running(pid)
    forgotten.stop_all()


@pytest.fixture
def left_behind(tmp_path: Path) -> Iterator[dict[str, int]]:
    """Leave two services with a child each of a killed owner; return the PIDs."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNS_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        owner.kill()
    pids = {
        f"{service} {name}": pid
        for service in ("first", "second")
        for name, pid in told_pids(tmp_path / "logs" / f"{service}.log", "leader", "child").items()
    }
    yield pids
    for pid in pids.values():
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


@pytest.fixture
def stranger() -> Iterator[int]:
    """Run an unrelated process in its own session."""
    with subprocess.Popen(["/bin/sleep", "300"], start_new_session=True) as process:
        yield process.pid
        process.kill()


def test_leftovers_of_a_killed_run_are_stopped(
    left_behind: dict[str, int], tmp_path: Path, stranger: int
) -> None:
    assert all(is_running(pid) for pid in left_behind.values())

    assert stop_leftovers(tmp_path) == ["first", "second"]

    assert [name for name, pid in left_behind.items() if is_running(pid)] == []
    assert is_running(stranger)


def test_a_leftover_without_its_leader_is_stopped(left_behind: dict[str, int], tmp_path: Path) -> None:
    killed(left_behind["first leader"])

    assert sorted(stop_leftovers(tmp_path)) == ["first", "second"]

    assert [name for name, pid in left_behind.items() if is_running(pid)] == []


def test_a_leftover_that_has_ended_is_not_reported(left_behind: dict[str, int], tmp_path: Path) -> None:
    killed(left_behind["first child"])
    killed(left_behind["first leader"])

    assert stop_leftovers(tmp_path) == ["second"]


def test_another_homes_services_are_left_alone(left_behind: dict[str, int], tmp_path: Path) -> None:
    assert stop_leftovers(tmp_path / "other") == []

    assert all(is_running(pid) for pid in left_behind.values())


def test_other_programs_in_the_same_home_are_left_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "PURCHASE_HOME": str(tmp_path)}
    with subprocess.Popen(["/bin/sleep", "300"], env=environment) as program:
        assert stop_leftovers(tmp_path) == []

        assert is_running(program.pid)
        program.kill()


def test_a_new_home_has_no_leftovers(tmp_path: Path) -> None:
    assert stop_leftovers(tmp_path) == []
