"""`nengliu acquire read`, `configure`, `frames` and `forget-centre`, against a collector that runs beside them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import ENTERPRISE
from meters import Meters, raises

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.collector import Collector, buffer_path, run_collector
from acquisition.drivers.config import load_config
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.keeping.frames import FrameFile
from nengliu.cli.acquire import acquire
from nengliu.settings import Settings
from schemas.messages import TickNotice, encode

TEXT = """
name = "c1"
[enterprise]
enterprise = "{enterprise}"
[remote]
every_s = 1
[[centres]]
name = "centre"
commands = true
configure = true
[[lines]]
name = "north"
host = "127.0.0.1"
[[lines.meters]]
name = "m1"
unit = 1
map = "acrel_adw300"
schema = 1
[lines.meters.points]
voltage_a = "u1"
current_a = "i1"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an installation whose collector has one meter, in English."""
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))
    monkeypatch.setenv("NENGLIU_LANG", "en")
    (tmp_path / "collector.toml").write_text(TEXT.format(enterprise=ENTERPRISE), encoding="utf-8")
    return tmp_path


@contextmanager
def collecting(home: Path) -> Iterator[Meters]:
    """Run the collector in a thread, with meters in process."""
    meters = Meters(SystemClock())  # type: ignore[arg-type]
    ready, made = threading.Event(), list[tuple[asyncio.AbstractEventLoop, Collector]]()

    def on_ready(collector: Collector) -> None:
        made.append((asyncio.get_running_loop(), collector))
        ready.set()

    def work() -> None:
        config = load_config(home / "collector.toml")
        asyncio.run(run_collector(Settings(home=home), config, None, lambda line: meters, on_ready))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(20)
        yield meters
    finally:
        loop, collector = made[-1]
        asyncio.run_coroutine_threadsafe(collector.stop(), loop).result(20)
        thread.join()


def call(*arguments: str, give: str = "") -> Result:
    return CliRunner().invoke(acquire, arguments, input=give)


def test_read_prints_what_the_meter_answers(home: Path) -> None:
    """Points or a whole meter are read now; what the meter refuses is told, and ends with 3."""
    with collecting(home) as meters:
        one = call("read", ENTERPRISE, "c1", "u1", "--within", "20")
        assert (one.exit_code, one.output) == (0, "u1=12.0 V\nRead: 1 of 1 values\n")
        whole = call("read", ENTERPRISE, "c1", "--meter", "m1", "--within", "20")
        assert whole.exit_code == 0
        assert "Read: 2 of 2 values" in whole.output
        meters.manners[1] = raises("TIMEOUT")
        silent = call("read", ENTERPRISE, "c1", "u1", "--within", "20")
        assert silent.exit_code == 3
        assert "Not answered in time: 0 of 1 values" in silent.output
        assert "m1 did not answer" in silent.output
        unknown = call("read", ENTERPRISE, "c1", "x9", "--within", "20")
        assert unknown.exit_code == 3
        assert "no meter or point of this name" in unknown.output


def test_read_without_a_collector_says_where_to_look(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody answers, the message names what must be set."""
    monkeypatch.setattr("nengliu.cli.acquire_read.GRACE_S", 0)
    found = call("read", ENTERPRISE, "c1", "u1", "--within", "1")

    assert found.exit_code == 3
    assert "commands (or configure) = true" in found.output
    assert home.exists()


def test_read_wants_points_or_a_meter(home: Path) -> None:
    """Neither or both is a mistake of the caller."""
    assert call("read", ENTERPRISE, "c1").exit_code != 0
    assert call("read", ENTERPRISE, "c1", "u1", "--meter", "m1").exit_code != 0
    assert home.exists()


def test_configure_applies_and_tells_a_refusal(home: Path) -> None:
    """A new point is read at once; a text that cannot be is refused with the collector's reason."""
    text = TEXT.format(enterprise=ENTERPRISE)
    better = home / "better.toml"
    better.write_text(text.replace("schema = 1", "schema = 2") + 'power = "p1"\n', encoding="utf-8")
    worse = home / "worse.toml"
    worse.write_text(text.replace("acrel_adw300", "no_such_map"), encoding="utf-8")
    with collecting(home):
        applied = call("configure", str(better), "--version", "v2")
        assert (applied.exit_code, "v2 is in force" in applied.output) == (0, True)
        assert call("read", ENTERPRISE, "c1", "p1", "--within", "20").exit_code == 0
        refused = call("configure", str(worse), "--version", "v3")
        assert refused.exit_code != 0
        assert "no_such_map" in str(refused.exception)
    assert call("configure", str(home / "none.toml")).exit_code != 0


def test_frames_are_shown_in_hex(home: Path) -> None:
    """The newest first, of the only collector here, or of the one that is named."""
    path = buffer_path(Settings(home=home), "c1")
    Buffer(path).close()
    frames = FrameFile(path.with_suffix(".frames"), 15, 2**20)
    now_ms = SystemClock().now_ms()
    frames.put("north", "m1", now_ms - 2000, b"\x68\x01")
    frames.put("north", "m1", now_ms - 1000, b"\x68\xab")
    frames.close()

    lines = call("frames", "m1").output.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == ["north  m1  68 AB", "north  m1  68 01"]
    assert "No frames of the meter m2" in call("frames", "m2").output
    assert call("frames", "m1", "--collector", "c9").exit_code != 0


def test_folder_without_a_collector_is_told(tmp_path: Path) -> None:
    """Who asks in the wrong folder is told which one that is."""
    nowhere = CliRunner(env={"NENGLIU_HOME": str(tmp_path / "new"), "NENGLIU_LANG": "en"}).invoke(
        acquire, ["frames", "m1"]
    )
    assert f"No collector ran in this folder yet ({tmp_path / 'new'})" in str(nowhere.exception)


def test_forget_centre_asks_and_lets_go(home: Path) -> None:
    """It says how many messages go, and does nothing without a yes; one that runs is in the way."""
    buffer = Buffer(buffer_path(Settings(home=home), "c1"))
    buffer.boot(SystemClock().now_ms())
    buffer.queued("old")
    buffer.put(ENTERPRISE, 1, buffer.next_sequence(), encode(TickNotice(1)))
    buffer.close()

    kept = call("forget-centre", "old", give="n\n")
    assert "still misses 1 messages" in kept.output
    gone = call("forget-centre", "old", "--yes")
    assert "old is forgotten; 1 messages" in gone.output
    again = call("forget-centre", "old", "--yes")
    assert "nothing kept for a centre 'old'" in str(again.exception)
    with collecting(home):
        busy = call("forget-centre", "centre", "--yes")
        assert "only collector of this name" in str(busy.exception)
