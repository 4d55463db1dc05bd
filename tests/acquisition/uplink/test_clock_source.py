"""How far the clock is off: asked of a real time server over UDP, kept, told when it changes, sent with each pulse."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from meters import START_MS, make_config, make_line, make_meter
from uplink.centres_rig import Centres, play

from acquisition.drivers import collector as collector_module
from acquisition.drivers.collector import buffer_path
from acquisition.drivers.plans import CentrePlan, ClockPlan
from acquisition.drivers.upward.clock_source import ask_ntp
from nengliu.domain.links import LinkKind
from nengliu.settings import Settings
from schemas.messages import LinkEvent

NTP_ERA_S = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""
KINDS = LinkKind.CLOCK_OFFSET, LinkKind.CLOCK_TRUE, LinkKind.CLOCK_UNSURE


@dataclass
class Server:
    """A time server whose clock is `ahead_s` ahead of this machine's."""

    port: int
    ahead_s: float = 0.0
    leap: int = 0
    stratum: int = 2
    mute: bool = False


@contextmanager
def ntp_server() -> Iterator[Server]:
    """Answer NTP requests, in frames laid here by hand (RFC 5905, figure 8)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        server = Server(door.getsockname()[1])

        def serve() -> None:
            while True:
                request, whence = door.recvfrom(256)
                if request == b"end":
                    return
                if not server.mute:
                    now = struct.pack("!Q", int((time.time() + server.ahead_s + NTP_ERA_S) * 2**32))
                    head = struct.pack("!BBBb", server.leap << 6 | 4 << 3 | 4, server.stratum, 6, -20)
                    door.sendto(head + bytes(12) + now + request[40:48] + now + now, whence)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"end", ("127.0.0.1", server.port))
            thread.join()


@pytest.mark.parametrize("ahead_s", [-400.0, 0.0, 3.5])
def test_ask_ntp_gives_the_offset(ahead_s: float) -> None:
    """What a server's clock shows against ours comes back in milliseconds, signed."""
    with ntp_server() as server:
        server.ahead_s = ahead_s
        found = ask_ntp(f"127.0.0.1:{server.port}")

    assert found is not None
    assert abs(found - 1000 * ahead_s) < 200


@pytest.mark.parametrize(("leap", "stratum"), [(3, 2), (0, 0), (0, 16)])
def test_ask_ntp_server_that_does_not_know_the_time_is_no_answer(leap: int, stratum: int) -> None:
    """A server that is not synchronised itself says so, and is not believed."""
    with ntp_server() as server:
        server.leap, server.stratum = leap, stratum
        assert ask_ntp(f"127.0.0.1:{server.port}") is None


def test_ask_ntp_nobody_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, and a name that is not known, are no error of the program."""
    monkeypatch.setattr("acquisition.drivers.upward.clock_source.PATIENCE_S", 0.2)
    with ntp_server() as server:
        server.mute = True
        assert ask_ntp(f"127.0.0.1:{server.port}") is None
    assert ask_ntp("no.such.host.invalid") is None


def run(
    home: Path, monkeypatch: pytest.MonkeyPatch, offsets: dict[str, list[int | None]], minutes: float
) -> Centres:
    """Have servers answer in turn what stands here, the last of each for ever."""

    def ask(server: str) -> int | None:
        told = offsets[server]
        return told.pop(0) if len(told) > 1 else told[0]

    monkeypatch.setattr(collector_module, "ask_ntp", ask)
    config = make_config(
        make_line(make_meter(1, 900)),
        centres=(CentrePlan("centre"),),
        clock=ClockPlan(servers=tuple(offsets), every_s=60),
    )

    async def story(rig: Centres) -> None:
        await rig.go(minutes)

    return play(home, config, story)


def states(rig: Centres) -> list[tuple[str, str, str]]:
    return [
        (LinkKind(e.kind).name.removeprefix("CLOCK_"), e.parameters["offset_ms"], e.parameters["server"])
        for e in rig.events("centre", *KINDS)
    ]


def pulses(rig: Centres) -> list[LinkEvent]:
    return rig.events("centre", LinkKind.HEARTBEAT)


def test_clock_is_told_when_it_comes_to_be_off_and_right_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds are too much by default; each change is told once, with since when the state before held."""
    rig = run(tmp_path, monkeypatch, {"a": [3, 5, -2500, -2600, 7]}, 6.5)

    assert states(rig) == [("TRUE", "3", "a"), ("OFFSET", "-2500", "a"), ("TRUE", "7", "a")]
    first, off, back = rig.events("centre", *KINDS)
    assert (off.since_ms, back.since_ms) == (first.at_ms, off.at_ms)
    assert [pulse.parameters["offset_ms"] for pulse in pulses(rig)[:4]] == ["3", "5", "-2500", "-2600"]
    shown = json.loads(buffer_path(Settings(home=tmp_path), "c1").with_suffix(".json").read_text())
    assert shown["offset_ms"] == 7


def test_clock_second_server_is_asked_when_the_first_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers is enough; with none the offset is unsure, and no pulse claims one."""
    rig = run(tmp_path, monkeypatch, {"a": [None], "b": [4, None]}, 3.5)

    assert states(rig) == [("TRUE", "4", "b"), ("UNSURE", "0", "a b")]
    assert "offset_ms" not in pulses(rig)[-1].parameters


def test_clock_state_holds_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told is not told again by the next life."""
    run(tmp_path, monkeypatch, {"a": [3000]}, 1.5)
    rig = run(tmp_path, monkeypatch, {"a": [3100]}, 1.5)

    assert states(rig) == [("OFFSET", "3000", "a")]


def test_clock_without_servers_is_not_asked(tmp_path: Path) -> None:
    """No server configured: no event, and no offset in the pulses."""

    async def story(rig: Centres) -> None:
        await rig.go(2.5)

    rig = play(tmp_path, make_config(centres=(CentrePlan("centre"),)), story)

    assert states(rig) == []
    assert all("offset_ms" not in pulse.parameters for pulse in pulses(rig))
    assert pulses(rig)[0].at_ms > START_MS
