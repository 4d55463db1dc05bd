"""Before anything starts: room on the disk, a free port, one owner."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nengliu import telemetry
from nengliu.bus.open import open_log
from nengliu.cli import health, up
from nengliu.cli.supervise import Supervisor
from nengliu.errors import InputError, SettingsError
from nengliu.settings import Profile, Settings, load
from schemas.topics import RAW

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGLIU_LANG", "en")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_taken_port_that_was_asked_for_is_an_error_with_a_cure(taken: int) -> None:
    """Who names a port wants that port: the error names it and another one."""
    with pytest.raises(InputError, match=rf"{taken}.*--port {taken + 1}"):
        up.choose_port(taken, Settings(), HOST)


def test_taken_port_of_the_settings_is_an_error(taken: int) -> None:
    """A port in the settings was asked for too."""
    with pytest.raises(InputError, match=str(taken)):
        up.choose_port(None, Settings(port=taken), HOST)


def test_taken_default_port_gives_the_next_free_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who named no port gets another one, and is told."""
    monkeypatch.setattr(up, "is_free", lambda port, _host: port == 0 or port > Settings().port + 1)

    assert up.choose_port(None, Settings(), HOST) == Settings().port + 2
    assert str(Settings().port + 2) in capsys.readouterr().err


def test_host_that_is_not_ours_is_an_error_of_the_host_and_not_of_the_port() -> None:
    """Another machine's address is told as such: no port would help."""
    with pytest.raises(InputError, match=r"192\.0\.2\.1.*--host"):
        up.choose_port(None, Settings(), "192.0.2.1")


def test_home_that_is_a_file_is_told_with_a_cure(tmp_path: Path) -> None:
    """A file where the folder should be is the user's mistake and no mistake of the program."""
    file = tmp_path / "notes.txt"
    file.touch()

    for home in (file, file / "below"):
        with pytest.raises(InputError, match=r"notes\.txt.*--home"):
            up.check_room(home)


def test_port_out_of_range_is_not_free() -> None:
    """A number that is no port is refused like a taken one."""
    assert not up.is_free(70_000, HOST)


def test_nearly_full_disk_refuses_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it starts it says how much room there is and how much is needed."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**10, 10**10, 100 * 2**20))

    with pytest.raises(up.NoRoomError, match="100 MiB free, 1024 MiB"):
        up.check_room(tmp_path / "new" / "home")


def test_store_by_address_is_not_ours_to_run(tmp_path: Path) -> None:
    """With a ClickHouse server in the settings only flows and page are started."""
    settings = Settings(home=tmp_path, store="http://user:word@example.org:8123")

    assert [part.name for part in up.parts_of(settings, HOST)] == ["flow", "dashboard"]
    ours = replace(settings, store="")
    assert [part.name for part in up.parts_of(ours, HOST)] == ["store", "flow", "dashboard"]


@pytest.mark.parametrize("profile", ["province", "nation"])
def test_profile_of_a_centre_runs_each_flow_on_its_own(profile: str, tmp_path: Path) -> None:
    """A province and the nation run ingest, rollups and anomaly as processes of their own, between topics."""
    settings = Settings(home=tmp_path, profile=Profile(profile))

    assert [part.name for part in up.parts_of(settings, HOST)] == [
        "store",
        "ingest",
        "rollups",
        "anomaly",
        "dashboard",
    ]


def test_all_collectors_of_an_installation_are_one_part(tmp_path: Path) -> None:
    """As many collectors run as are configured, in one process."""
    for name in ("collector.toml", "collector-north.toml", "other.toml"):
        (tmp_path / name).touch()
    parts = {part.name: part.command for part in up.parts_of(Settings(home=tmp_path), HOST)}

    assert list(parts) == ["store", "flow", "collector", "dashboard"]
    files = [str(tmp_path / name) for name in ("collector-north.toml", "collector.toml")]
    assert parts["collector"][-5:] == ("collect", "--config", files[0], "--config", files[1])


def test_unknown_profile_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt profile does not quietly run something else."""
    monkeypatch.setenv("NENGLIU_PROFILE", "provinc")

    with pytest.raises(SettingsError, match="access-end, province, nation"):
        load()


def test_store_without_port_file_does_not_answer(tmp_path: Path, taken: int) -> None:
    """Readiness of the store is its port file and an answer behind it."""
    settings = replace(Settings(), home=tmp_path)
    assert not health.store_answers(settings)
    settings.store_home.mkdir()
    (settings.store_home / "port").write_text("no number")
    assert not health.store_answers(settings)


def test_sigterm_ends_the_body_and_stops_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM is as good as Ctrl-C: the body ends, the parts are stopped, the lock is free again."""
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))
    stopped: list[str] = []
    monkeypatch.setattr(Supervisor, "stop", lambda _self: stopped.append("all"))
    with up.running(None):
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the body went on")

    assert stopped == ["all"]
    assert "Stopped" in capsys.readouterr().err
    assert (tmp_path / "up.lock").read_text() == ""


def test_status_line_names_parts_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says how each part is, and where the log of a dead one lies."""
    settings = replace(Settings(), home=tmp_path)
    supervisor = Supervisor(up.parts_of(settings, HOST), tmp_path)
    installation = up.Installation(settings, supervisor, "0.0.0.0", lambda **_: None)
    ready = {"store": "ready", "flow": "ready", "dashboard": "starting"}
    monkeypatch.setattr(Supervisor, "states", lambda _self: ready)

    assert up.status_line(installation).startswith("store ●  flows ●  page ◌  http://127.0.0.1:8501")
    ready["flow"] = "waiting"
    assert str(tmp_path / "flow.log") in up.status_line(installation)


def test_hourly_trim_forgets_what_is_old_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than it must be kept goes, as far as every flow has read it, and is counted."""
    telemetry.reset()
    settings = Settings(home=tmp_path, partitions=1)
    with open_log(settings) as log:
        log.append(RAW, [("x", b"{}")] * 4)
    folder = settings.recovery_path / "embedded"
    folder.mkdir(parents=True)
    (folder / "part-0.sqlite3").touch()
    (folder / "resume.json").write_text(json.dumps({RAW: {"0": [1, 3]}}))
    up.trim(settings)
    assert telemetry.snapshot() == {}
    later = time.time() + 31 * 86_400
    monkeypatch.setattr("nengliu.bus.open.time.time", lambda: later)
    up.trim(settings)

    assert telemetry.snapshot() == {"nengliu_bus_trimmed_records_total": 3}


def test_hourly_trim_of_a_damaged_log_is_told_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The supervisor goes on; the log's own sentence stands in its log file."""
    settings = Settings(home=tmp_path)
    settings.log_path.write_bytes(b"no log at all" * 1000)
    up.trim(settings)

    assert "LogNotTrimmed" in caplog.text
