"""Bad input of every kind through a whole collector: each has its link event, its message, and costs no good value."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest
from buses import make_bus, stations
from factories import make_point
from lines import line_of, meter_of
from meters import START_MS, make_config, make_line, make_meter
from uplink.centres_rig import MINUTE, Centres, play
from uplink.rig import RoughLog, Weather
from virtual import MemoryWire

from acquisition.drivers.config import CollectorConfig, Line
from acquisition.drivers.keeping import buffer as buffer_module
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.meters.meter_maps import load_map
from acquisition.drivers.plans import CentrePlan
from acquisition.simulator.bus import Bus
from acquisition.simulator.faults import Fault, FaultKind
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from nengliu.errors import LogError
from schemas.messages import MISSING, LinkEvent, LinkNotice

CENTRE = "centre"
SCHEMAS = {"e1": 1, "e2": 2}
WORDS = {
    int(row["id"]): (row["zh"], row["en"])
    for row in csv.DictReader(
        resources.files("schemas").joinpath("codes/links.csv").read_text("utf-8").splitlines()
    )
}
Story = Callable[[Centres], Awaitable[None]]


def said(event: LinkEvent) -> tuple[str, str]:
    """Say an event in Chinese and English, as a page does: every name in the sentence must have a value."""
    names = {"line": event.line, "meter": event.meter} | event.parameters
    zh, en = (words.format_map(names) for words in WORDS[event.kind])
    return zh, en


def only(rig: Centres, kind: LinkKind) -> LinkEvent:
    """The one event of its kind that reached the centre: it is told once, not at every try."""
    (event,) = rig.events(CENTRE, kind)
    return event


def instants(rig: Centres, schema: int) -> list[int]:
    """Minutes since the start for which a meter has a value, once each, or the test fails."""
    frames = {one.sequence: one for one in rig.frames(CENTRE)}.values()
    found = [one for one in frames if one.schema == schema and (one.values != MISSING).any()]
    minutes = [(int(one.read_at_ms[0]) - START_MS) // MINUTE for one in found]
    assert len(set(minutes)) == len(minutes)
    return sorted(minutes)


def lost(rig: Centres) -> set[tuple[str, str]]:
    """Points that miss readings, and why."""
    notices = (one for one in rig.messages(CENTRE) if isinstance(one, LinkNotice))
    missed = [one for notice in notices for one in notice.missed]
    return {(point, Reason(one.reason).name) for one in missed for point in one.points}


class OnBus:
    """A collector that reads two DL/T 645 meters of a simulated line."""

    def __init__(self, home: Path, faulty_map: str = "") -> None:
        self.home = home
        self.stations = stations(("dlt645-2007", "e1", "161"), ("dlt645-2007", "e2", "162"))
        self.config = self._config(faulty_map)
        self.bus: Bus

    def _config(self, faulty_map: str) -> CollectorConfig:
        meters = [meter_of(one, ["energy"], interval_s=60, schema=SCHEMAS[one.name]) for one in self.stations]
        if faulty_map:
            plan = load_map(faulty_map)
            item = next(one for one in plan.items if one.name == "energy")
            meters[0] = replace(meters[0], map=plan, items=((item, "e1.energy"),))
        return make_config(line_of(*meters), centres=(CentrePlan(CENTRE),))

    def play(self, story: Callable[[Centres, Bus], Awaitable[None]]) -> Centres:
        def wire(rig: Centres) -> None:
            self.bus = make_bus(self.stations, rig.clock.now_ms, baud=9600, reply_ms=(30, 90))

            def transport(line: Line) -> Transport:
                return HalfDuplex(MemoryWire(self.bus, rig.clock), rig.clock, line.timeout_s, line.baud)

            rig.transport = transport  # type: ignore[method-assign]

        return play(self.home, self.config, lambda rig: story(rig, self.bus), wire)


# -- lines and meters -----------------------------------------------------------------------


def test_wrong_map_is_told_and_its_neighbour_is_read(tmp_path: Path) -> None:
    """The identifiers of another edition: the meter refuses or is silent to them, and never gives a number."""

    async def story(rig: Centres, bus: Bus) -> None:
        del bus
        await rig.go(4.5)

    rig = OnBus(tmp_path, "dlt645_1997").play(story)

    event = only(rig, LinkKind.METER_DOWN)
    assert (event.meter, Reason(event.reason).name) == ("e1", "TIMEOUT")
    assert said(event) == ("表计 e1 不应答", "The meter e1 does not answer")
    assert instants(rig, SCHEMAS["e1"]) == []
    assert lost(rig) == {("e1.energy", "TIMEOUT")}
    assert instants(rig, SCHEMAS["e2"]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("kind", "value", "event_kind", "reason"),
    [
        (FaultKind.REFUSE, 0x02, LinkKind.METER_REFUSES, "CONFIG"),
        (FaultKind.OTHER, 1, LinkKind.METER_FOREIGN, "MISMATCH"),
        (FaultKind.ITEM, 1, LinkKind.METER_FOREIGN, "MISMATCH"),
        (FaultKind.DAMAGED, 3, LinkKind.ANSWER_DAMAGED, "DAMAGED"),
    ],
)
def test_wrong_answer_is_told_and_no_value_is_taken(
    tmp_path: Path, kind: FaultKind, value: int, event_kind: LinkKind, reason: str
) -> None:
    """No such item, another meter or item, damage: its own reason, an end when it is over, the neighbour read."""

    async def story(rig: Centres, bus: Bus) -> None:
        await rig.go(1.5)
        bus.obey([Fault(kind, "bus", "e1", value=value)])
        await rig.go(3)
        bus.obey([])
        await rig.go(3)

    rig = OnBus(tmp_path).play(story)

    event = only(rig, event_kind)
    assert (event.line, event.meter, Reason(event.reason).name) == ("line", "e1", reason)
    assert all("e1" in words for words in said(event))
    ends = [one for one in rig.events(CENTRE, LinkKind.METER_UP) if one.meter == "e1"]
    assert ends[-1].since_ms == event.at_ms
    assert instants(rig, SCHEMAS["e1"]) == [0, 1, 5, 6, 7]
    assert lost(rig) == {("e1.energy", reason)}
    assert instants(rig, SCHEMAS["e2"]) == list(range(8))


def test_port_that_vanishes_is_told_and_found_again(tmp_path: Path) -> None:
    """One event for the line, none for each of its meters; it is tried again until it is there."""

    async def story(rig: Centres, bus: Bus) -> None:
        await rig.go(1.5)
        bus.obey([Fault(FaultKind.DEAD, "bus")])
        await rig.go(3)
        bus.obey([])
        await rig.go(3)

    rig = OnBus(tmp_path).play(story)

    event = only(rig, LinkKind.LINE_DOWN)
    assert (event.line, event.meter) == ("line", "")
    assert said(event) == ("线路 line 不通", "The line line cannot be reached")
    up = rig.events(CENTRE, LinkKind.LINE_UP)[-1]
    assert up.since_ms == event.at_ms
    assert rig.events(CENTRE, LinkKind.METER_DOWN) == []
    for name, schema in SCHEMAS.items():
        assert instants(rig, schema) == [0, 1, 5, 6, 7]
        assert (f"{name}.energy", "LINE_DOWN") in lost(rig)


# -- the collector itself -------------------------------------------------------------------


def two_kinds() -> CollectorConfig:
    """A meter whose first register is a counter, the other ones gauges."""
    points = (make_point("m1-r0", kind=Kind.COUNTER, unit="kW", decimals=1),)
    return make_config(make_line(make_meter(1, registers=20)), points=points, centres=(CentrePlan(CENTRE),))


def test_disk_that_others_fill_is_told_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing can be written, readings and the warning wait in memory; both arrive when there is room."""

    def refuses(buffer: Buffer) -> None:
        raise LogError("disk full")

    async def story(rig: Centres) -> None:
        await rig.go(1.5)
        with monkeypatch.context() as full:
            full.setattr(Buffer, "flush", refuses)
            full.setattr(buffer_module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
            await rig.go(3)
        await rig.go(3)

    rig = play(tmp_path, two_kinds(), story)

    event = only(rig, LinkKind.QUEUE_HIGH)
    assert START_MS + MINUTE < event.at_ms < START_MS + 5 * MINUTE
    assert said(event) == ("缓存已用 100%", "The buffer is 100% full")
    assert instants(rig, 1) == list(range(8))
    assert lost(rig) == set()


def test_disk_that_is_full_is_told_and_keeps_the_energies(tmp_path: Path) -> None:
    """A centre is away until no room is left: warned first, then gauges give way, and both are told."""

    async def story(rig: Centres) -> None:
        rig.weather[CENTRE] = Weather()
        rig.weather[CENTRE].down = True
        await rig.go(0.5)
        assert rig.collector is not None
        rig.collector.buffer.give_room(15, 60 * 4096)
        await rig.go(400)
        rig.weather[CENTRE].down = False
        await rig.go(30)

    rig = play(tmp_path, two_kinds(), story)

    high = rig.events(CENTRE, LinkKind.QUEUE_HIGH)[0]
    assert int(high.parameters["percent"]) >= 80
    assert said(high)[0] == f"缓存已用 {high.parameters['percent']}%"
    dropped = rig.events(CENTRE, LinkKind.DATA_DROPPED)
    assert dropped
    assert high.at_ms < dropped[0].at_ms
    assert all(event.parameters["rows"] in words for event in dropped for words in said(event))
    frames = {one.sequence: one for one in rig.frames(CENTRE)}.values()
    assert sum(one.values[0, 0] != MISSING for one in frames) == 431
    assert lost(rig) == {(f"m1-r{n}", "DROPPED") for n in range(1, 20)}


@pytest.mark.parametrize(("minutes", "seen"), [(10, [0, 1, 11, 12, 13, 14]), (-10, [-8, -7, -6, 0, 1])])
def test_clock_that_jumps_is_told(tmp_path: Path, minutes: int, seen: list[int]) -> None:
    """Forward or back: the collector says by how much, reads on at once, and no instant has two values."""

    async def story(rig: Centres) -> None:
        await rig.go(1.5)
        rig.clock.set_by(minutes * MINUTE)
        await rig.go(3)

    rig = play(tmp_path, two_kinds(), story)

    event = only(rig, LinkKind.CLOCK_SET)
    assert (event.line, event.meter) == ("", "")
    assert event.parameters == {"seconds": str(60 * minutes)}
    assert said(event) == (
        f"采集器时钟被拨动 {60 * minutes} 秒",
        f"The collector's clock was set by {60 * minutes} s",
    )
    assert instants(rig, 1) == seen
    assert {reason for _, reason in lost(rig)} == ({"CLOCK_SET"} if minutes > 0 else set())


def test_centre_that_acknowledges_wrongly_is_told_and_gets_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken for arrived, it is told once with what was said, and all is there in the end."""
    append = RoughLog.append
    lies = [False]

    def lie(log: RoughLog, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        positions = append(log, topic, messages)
        return [*positions, 4711] if lies[0] else positions

    monkeypatch.setattr(RoughLog, "append", lie)

    async def story(rig: Centres) -> None:
        await rig.go(1.5)
        lies[0] = True
        await rig.go(5)
        assert rig.collector is not None
        assert sum(rig.collector.buffer.queued(CENTRE)) > 0
        lies[0] = False
        await rig.go(5)

    rig = play(tmp_path, two_kinds(), story)

    event = only(rig, LinkKind.BAD_ACKNOWLEDGEMENT)
    assert "4711" in event.parameters["got"]
    assert all(CENTRE in words and "4711" in words for words in said(event))
    assert instants(rig, 1) == list(range(12))
