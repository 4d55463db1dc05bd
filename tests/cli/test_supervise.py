"""The supervisor, with small fake parts: it heals, it stops in order, it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nengliu import telemetry
from nengliu.cli import supervise
from nengliu.cli.supervise import Part, Supervisor, last_line, owning
from nengliu.errors import StorageError, StoreLocked

SLEEP = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); {SLEEP}"
FAMILY = (
    f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); "
    f"print(child.pid, flush=True); {SLEEP}"
)


def part(name: str, code: str, **more: object) -> Part:
    return Part(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Make supervisors that are stopped at the end of the test."""
    made: list[Supervisor] = []

    def make(*parts: Part) -> Supervisor:
        made.append(Supervisor(parts, tmp_path / "logs"))
        for one in parts:
            made[-1].start(one.name)
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def until(condition: Callable[[], object], timeout_s: float = 10) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def ticked_until(supervisor: Supervisor, condition: Callable[[], object]) -> bool:
    def step() -> object:
        supervisor.tick()
        return condition()

    return until(step)


def test_part_that_is_killed_is_started_again(supervised: Callable[..., Supervisor]) -> None:
    """Kill -9 of a part heals: another process takes its place, and the event is counted."""
    telemetry.reset()
    supervisor = supervised(part("flow", SLEEP))
    first = supervisor.processes()["flow"]
    os.kill(first, signal.SIGKILL)

    assert ticked_until(supervisor, lambda: supervisor.processes().get("flow", first) != first)
    assert telemetry.snapshot() == {"nengliu_cli_restarted_parts_total{part=flow}": 1}


def test_part_that_cannot_start_is_tried_with_growing_pauses(
    supervised: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken part does not eat the machine: the pause doubles, up to its cap."""
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.01)
    supervisor = supervised(part("flow", "raise SystemExit(1)"))
    running = supervisor._running["flow"]

    assert ticked_until(supervisor, lambda: running.failures >= 4)
    assert running.due_at - time.monotonic() <= 0.08
    running.failures = 50
    supervisor._launch(running)
    assert ticked_until(supervisor, lambda: running.process is None)
    assert 25 < running.due_at - time.monotonic() <= supervise.LONGEST_PAUSE_S


def test_part_that_lived_long_is_tried_at_once(
    supervised: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A death after a healthy life starts with a small pause again."""
    monkeypatch.setattr(supervise, "HEALTHY_S", 0.0)
    supervisor = supervised(part("flow", "pass"))
    running = supervisor._running["flow"]
    running.failures = 8

    assert ticked_until(supervisor, lambda: running.process is None)
    assert running.failures == 0


def test_states_follow_the_life_of_a_part(supervised: Callable[..., Supervisor], tmp_path: Path) -> None:
    """A part is starting until it says that it is ready, and waiting when it is dead."""
    sign = tmp_path / "ready"
    supervisor = supervised(part("store", SLEEP, ready=lambda _: sign.exists()))

    assert supervisor.states() == {"store": "starting"}
    sign.touch()
    supervisor.tick()
    assert supervisor.states() == {"store": "ready"}
    os.kill(supervisor.processes()["store"], signal.SIGKILL)
    assert ticked_until(supervisor, lambda: supervisor.states() == {"store": "waiting"})


def test_held_part_stands_still_until_it_is_let_go(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    """It is shown as held, does nothing, and goes on as the same process."""
    file = tmp_path / "beats"
    script = f"import time\nwhile True:\n    open({str(file)!r}, 'a').write('.')\n    time.sleep(0.01)"
    supervisor = supervised(part("collector", script))
    process = supervisor.processes()
    assert ticked_until(supervisor, file.exists)
    supervisor.hold("collector", is_held=True)
    supervisor.hold("collector", is_held=True)
    time.sleep(0.05)
    beats = file.stat().st_size
    time.sleep(0.1)

    assert supervisor.states() == {"collector": "held"}
    assert file.stat().st_size == beats
    supervisor.hold("collector", is_held=False)
    assert ticked_until(supervisor, lambda: file.stat().st_size > beats)
    assert supervisor.processes() == process


def test_ready_part_that_hangs_is_shown_as_not_ready(
    supervised: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready is asked again and again: a part that lives but does nothing is seen."""
    monkeypatch.setattr(supervise, "LOOK_AGAIN_S", 0.05)
    sign = tmp_path / "ready"
    sign.touch()
    supervisor = supervised(part("flow", SLEEP, ready=lambda _: sign.exists()))

    assert ticked_until(supervisor, lambda: supervisor.states() == {"flow": "ready"})
    sign.unlink()
    assert ticked_until(supervisor, lambda: supervisor.states() == {"flow": "starting"})


def test_part_is_asked_for_signs_of_life_after_its_own_start(
    supervised: Callable[..., Supervisor],
) -> None:
    """What a killed predecessor left behind does not make its successor ready."""
    asked: list[float] = []
    before = time.time()
    supervisor = supervised(part("flow", SLEEP, ready=lambda started_s: asked.append(started_s) or True))

    assert ticked_until(supervisor, lambda: asked)
    assert before <= asked[0] <= time.time()


def test_start_of_a_running_part_changes_nothing(supervised: Callable[..., Supervisor]) -> None:
    """A part exists once, however often somebody asks for it."""
    supervisor = supervised(part("store", SLEEP))
    first = supervisor.processes()
    supervisor.start("store")

    assert supervisor.processes() == first


def test_stop_ends_the_parts_in_the_opposite_order(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    """The page goes first and the store last, so that nobody writes to a store that is gone."""
    order = tmp_path / "order"
    code = (
        "import signal, sys, time, pathlib\n"
        f"def end(*_):\n    open({str(order)!r}, 'a').write('NAME '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True)\ntime.sleep(600)"
    )
    names = ("store", "flow", "dashboard")
    supervisor = supervised(*(part(name, code.replace("NAME", name)) for name in names))
    assert until(lambda: all(last_line(supervisor.log_file(name)) == "up" for name in names))
    supervisor.stop()

    assert order.read_text().split() == ["dashboard", "flow", "store"]


def test_stop_of_a_stubborn_part_takes_no_longer_than_its_patience(
    supervised: Callable[..., Supervisor],
) -> None:
    """A part that ignores SIGTERM is killed."""
    supervisor = supervised(part("flow", STUBBORN, patience_s=0.2))
    assert until(lambda: last_line(supervisor.log_file("flow")) == "up")
    pid = supervisor.processes()["flow"]
    started = time.monotonic()
    supervisor.stop()

    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)


def test_stop_ends_the_children_of_a_part_too(supervised: Callable[..., Supervisor]) -> None:
    """A part's whole process group goes: nothing keeps the port or the folder."""
    supervisor = supervised(part("dashboard", FAMILY))
    assert until(lambda: last_line(supervisor.log_file("dashboard")))
    child = int(last_line(supervisor.log_file("dashboard")))
    supervisor.stop()

    assert until(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    )


def test_wait_ready_tells_what_the_log_said_last(supervised: Callable[..., Supervisor]) -> None:
    """A store that does not come up is told with its own last words and its log file."""
    supervisor = supervised(part("store", "raise SystemExit('the disk is full')", ready=lambda _: False))

    with pytest.raises(StorageError, match=r"store.*store\.log.*the disk is full"):
        supervisor.wait_ready("store", 0.6)


def test_second_owner_is_told_who_owns(tmp_path: Path) -> None:
    """Two supervisors of one folder would destroy each other: the second is told about the first."""
    with (
        owning(tmp_path, address="http://127.0.0.1:8501"),
        pytest.raises(StoreLocked, match=rf"{os.getpid()}.*8501"),
        owning(tmp_path),
    ):
        pass
    with owning(tmp_path):
        pass


def test_leftovers_of_a_killed_owner_are_ended(tmp_path: Path) -> None:
    """After kill -9 of a supervisor the next one takes over and ends what is left of the old parts."""
    left = subprocess.Popen(
        [sys.executable, "-c", SLEEP], env={"NENGLIU_SUPERVISOR": "4242"}, start_new_session=True
    )
    other = subprocess.Popen([sys.executable, "-c", SLEEP], env={}, start_new_session=True)
    parts = {"flow": left.pid, "store": other.pid, "dashboard": 2**22 - 1}
    (tmp_path / "up.lock").write_text(json.dumps({"process": 4242, "parts": parts}))
    try:
        assert until(lambda: psutil.Process(left.pid).environ())
        with owning(tmp_path):
            assert until(lambda: left.poll() is not None)
            assert other.poll() is None
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


def test_lock_that_was_cut_short_is_no_obstacle(tmp_path: Path) -> None:
    """A lock file broken by a power cut does not keep anybody out."""
    (tmp_path / "up.lock").write_text('{"process": 42, "par')

    with owning(tmp_path):
        assert json.loads((tmp_path / "up.lock").read_text())["process"] == os.getpid()


def test_log_file_that_is_too_long_is_set_aside(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    """Logs do not fill the disk."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "flow.log").write_bytes(b"x" * (supervise.LOG_BYTES + 1))
    supervised(part("flow", SLEEP))

    assert (tmp_path / "logs" / "flow.log.1").stat().st_size > supervise.LOG_BYTES
    assert (tmp_path / "logs" / "flow.log").stat().st_size < 1000


def test_log_file_of_a_running_part_is_set_aside_without_a_restart(
    supervised: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that runs for years does not fill the disk, and goes on writing into the emptied file."""
    monkeypatch.setattr(supervise, "LOG_BYTES", 10)
    chatter = "import time\nwhile True: print('x' * 20, flush=True); time.sleep(0.05)"
    supervisor = supervised(part("flow", chatter))
    file = supervisor.log_file("flow")
    assert until(lambda: file.stat().st_size > 200)
    supervisor.set_logs_aside()

    assert (tmp_path / "logs" / "flow.log.1").stat().st_size > 200
    assert until(lambda: 0 < file.stat().st_size < 200)
    assert file.read_bytes()[:1] == b"x"
