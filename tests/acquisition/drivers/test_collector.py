"""The collector: introduces itself, keeps everything in one rising sequence, survives restarts and says how it goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from factories import ENTERPRISE, make_point
from meters import MINUTE, START_MS, Meters, make_config, make_line, make_meter, raises
from virtual import VirtualClock

from acquisition.drivers import collector
from acquisition.drivers.collector import Collector, buffer_path, owned, run_collector
from acquisition.drivers.config import CollectorConfig, Line
from acquisition.drivers.keeping.buffer import Buffer
from nengliu import telemetry
from nengliu.bus.open import open_log
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Enterprise
from nengliu.domain.quality import Reason
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings
from schemas.messages import (
    BookNotice,
    EnterpriseNotice,
    Frame,
    LinkEvent,
    LinkNotice,
    Message,
    PointNotice,
    SchemaNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    decode,
)
from schemas.topics import RAW

Script = Callable[["Session"], Coroutine[Any, Any, None]]


class Session:
    """One life of a collector in virtual time."""

    def __init__(self, home: Path, config: CollectorConfig, start_ms: int) -> None:
        self.settings, self.config = Settings(home=home), config
        self.clock = VirtualClock(start_ms)
        self.meters: dict[str, Meters] = {line.name: Meters(self.clock) for line in config.lines}
        self.collector: Collector | None = None

    def transport(self, line: Line) -> Meters:
        return self.meters[line.name]

    async def live(self, script: Script, *, clean: bool) -> None:
        with self.clock.ruling():
            task = asyncio.create_task(
                run_collector(
                    self.settings,
                    self.config,
                    self.clock,
                    self.transport,
                    on_ready=lambda made: setattr(self, "collector", made),
                )
            )
            await script(self)
            if task.done():
                task.result()
            if clean:
                assert self.collector is not None
                await self.collector.stop()
                await task
            else:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def live(
    home: Path,
    minutes: float,
    config: CollectorConfig | None = None,
    *,
    at: float = 0,
    clean: bool = True,
    **given: Any,
) -> Session:
    """Let a collector live from `at` for `minutes` minutes, both counted from START_MS."""
    session = Session(home, config or make_config(), START_MS + round(at * MINUTE))
    prepare = given.get("prepare")
    if prepare:
        prepare(session)

    async def script(session: Session) -> None:
        await session.clock.sleep_until(START_MS + round((at + minutes) * MINUTE))

    asyncio.run(session.live(given.get("script", script), clean=clean))
    return session


def told(home: Path) -> list[Message]:
    """All that reached the log, in the order of the one partition the enterprise has; without the book."""
    log = open_log(Settings(home=home))
    records = [record for p in range(4) for record in log.read(RAW, p, 0, 100_000)]
    log.close()
    messages = [decode(record.value) for record in records]
    return [message for message in messages if not isinstance(message, BookNotice)]


def frames(messages: Sequence[Message]) -> list[Frame]:
    return [message for message in messages if isinstance(message, Frame)]


def notices(messages: Sequence[Message]) -> list[LinkNotice]:
    return [message for message in messages if isinstance(message, LinkNotice)]


def events(messages: Sequence[Message], kind: LinkKind) -> list[LinkEvent]:
    return [event for notice in notices(messages) for event in notice.events if event.kind == kind]


def slots(messages: Sequence[Message]) -> list[float]:
    return [(int(frame.read_at_ms[0]) - START_MS) / MINUTE for frame in frames(messages)]


INTRODUCED = make_config(
    enterprise=Enterprise(ENTERPRISE, "示例厂"), points=(make_point("m1-r0", unit="kW", decimals=1),)
)


def test_collector_introduces_itself_before_its_first_reading(tmp_path: Path) -> None:
    """Enterprise, points, column lists and wiring come first, once; frames have the columns of their schema."""
    live(tmp_path, 1.5, INTRODUCED)

    messages = told(tmp_path)
    kinds = [EnterpriseNotice, PointNotice, SchemaNotice, WiringNotice]
    assert [type(message) for message in messages[:4]] == kinds
    schema, wiring = messages[2:4]
    assert isinstance(schema, SchemaNotice)
    line = INTRODUCED.lines[0]
    wired = WiredLine(line.name, (WiredMeter(line.meters[0].name, ("m1-r0", "m1-r1")),))
    assert wiring == WiringNotice(ENTERPRISE, "c1", (wired,))
    assert [(one.point, one.unit, one.decimals) for one in schema.value.columns] == [
        ("m1-r0", "kW", 1),
        ("m1-r1", "kW", 1),
    ]
    first = frames(messages)[0]
    assert (first.enterprise, first.schema, first.source) == (ENTERPRISE, 1, "c1")
    assert first.values.tolist() == [[100, 101]]
    assert (first.quality, first.received_at_s) == (None, START_MS // 1000)


def test_introduction_is_repeated_only_if_it_changed(tmp_path: Path) -> None:
    """A restart with the same file introduces nothing; another point makes it introduce all again."""
    live(tmp_path, 0.5, INTRODUCED)
    live(tmp_path, 0.5, INTRODUCED, at=1)
    assert len([one for one in told(tmp_path) if isinstance(one, SchemaNotice)]) == 1

    live(tmp_path, 0.5, replace(INTRODUCED, points=()), at=2)
    assert len([one for one in told(tmp_path) if isinstance(one, SchemaNotice)]) == 2


def test_introduction_is_repeated_if_a_meter_moved_to_another_line(tmp_path: Path) -> None:
    """The same points on another line are another wiring, which is told."""
    live(tmp_path, 0.5, INTRODUCED)
    moved = replace(INTRODUCED, lines=(replace(INTRODUCED.lines[0], name="other"),))
    live(tmp_path, 0.5, moved, at=1)

    wirings = [one for one in told(tmp_path) if isinstance(one, WiringNotice)]
    assert [one.lines[0].line for one in wirings] == [INTRODUCED.lines[0].name, "other"]


def test_sequence_rises_over_frames_notices_and_restarts(tmp_path: Path) -> None:
    """Frames and link notices share one sequence, each boot above the last."""
    live(tmp_path, 2)
    live(tmp_path, 2, at=3)

    sequences = [one.sequence for one in told(tmp_path) if isinstance(one, Frame | LinkNotice)]
    distinct = list(dict.fromkeys(sequences))  # a batch that was on its way at the stop may come twice
    assert distinct == sorted(distinct)
    assert len({one >> 32 for one in distinct}) == 2


def test_start_stop_and_heartbeats_are_told(tmp_path: Path) -> None:
    """A life begins and ends in the log, and beats in between with its numbers."""
    live(tmp_path, 3.5)

    messages = told(tmp_path)
    assert len(events(messages, LinkKind.COLLECTOR_STARTED)) == 1
    assert len(events(messages, LinkKind.COLLECTOR_STOPPED)) == 1
    beats = events(messages, LinkKind.HEARTBEAT)
    assert [(beat.at_ms - START_MS) // MINUTE for beat in beats] == [1, 2, 3]
    assert {name: beats[0].parameters[name] for name in ("meters", "down")} == {"meters": "1", "down": "0"}
    assert "queued" in beats[0].parameters


@pytest.mark.parametrize("clean", [True, False])
def test_restart_accounts_for_the_break(tmp_path: Path, clean: bool) -> None:
    """Stopped or killed: the next start names its last slot and one range of what was slept through."""
    live(tmp_path, 2.5, clean=clean)
    live(tmp_path, 3, at=6.5)

    messages = told(tmp_path)
    assert slots(messages) == [0, 1, 2, 7, 8, 9]
    second = events(messages, LinkKind.COLLECTOR_STARTED)[1]
    assert second.since_ms == START_MS + 2 * MINUTE
    (missed,) = [one for notice in notices(messages) for one in notice.missed]
    assert (missed.first_ms, missed.last_ms) == (START_MS + 3 * MINUTE, START_MS + 6 * MINUTE)
    assert (missed.count, missed.reason, missed.points) == (4, Reason.COLLECTOR_DOWN, ("m1-r0", "m1-r1"))


def test_states_hold_over_a_restart(tmp_path: Path) -> None:
    """A meter that was down is still down after a restart, and is not told again."""
    config = make_config(make_line(make_meter(1), make_meter(2)))

    def dead(session: Session) -> None:
        session.meters["line"].manners[1] = raises("TIMEOUT")

    live(tmp_path, 2.5, config, prepare=dead)
    live(tmp_path, 2.5, config, at=3, prepare=dead)
    assert len(events(told(tmp_path), LinkKind.METER_DOWN)) == 1

    live(tmp_path, 8, config, at=6)
    (up,) = [one for one in events(told(tmp_path), LinkKind.METER_UP) if one.meter == "m1"]
    assert up.since_ms == START_MS


def test_missing_of_one_turn_travels_together(tmp_path: Path) -> None:
    """A line that is away makes one notice per slot, not one per meter."""
    config = make_config(make_line(*(make_meter(unit) for unit in range(1, 33))))

    def away(session: Session) -> None:
        session.meters["line"].refuses_connections = True

    live(tmp_path, 1.5, config, prepare=away)

    lost = [notice for notice in notices(told(tmp_path)) if notice.missed]
    assert [len(notice.missed) for notice in lost] == [32, 32]


def test_status_file_shows_the_state_now(tmp_path: Path) -> None:
    """People and programs read lines, meters, numbers and the process from one file."""
    config = make_config(make_line(make_meter(1), make_meter(2)))
    seen: list[dict[str, Any]] = []

    async def script(session: Session) -> None:
        session.meters["line"].manners[1] = raises("TIMEOUT")
        await session.clock.sleep_until(START_MS + 2 * MINUTE + 1)
        seen.append(json.loads(buffer_path(session.settings, "c1").with_suffix(".json").read_text()))

    live(tmp_path, 0, config, script=script)

    (status,) = seen
    assert {name: status[name] for name in ("name", "heartbeat_s", "meters", "down")} == {
        "name": "c1",
        "heartbeat_s": 60,
        "meters": 2,
        "down": 1,
    }
    assert {"process", "at_ms", "queued", "backfill", "oldest_ms", "fill"} <= set(status)
    (line,) = status["lines"]
    assert (line["name"], line["state"], line["reason"]) == ("line", "up", "")
    dead, well = line["meters"]
    assert (dead["state"], dead["reason"], dead["since_ms"]) == ("down", "TIMEOUT", START_MS)
    assert (well["state"], well["reason"], well["last_ms"]) == ("up", "", START_MS + 2 * MINUTE)
    after = json.loads((tmp_path / "collector" / "c1.json").read_text())
    assert after["process"] == 0


def test_second_collector_on_a_buffer_is_refused(tmp_path: Path) -> None:
    """Two collectors of one name would break the sequence: the second is told who is there."""
    path = buffer_path(Settings(home=tmp_path), "c1")

    with owned(path), pytest.raises(InputError, match=r"only collector of this name.*process \d+"):
        live(tmp_path, 1)
    live(tmp_path, 1)


def test_disk_that_refuses_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the buffer cannot be written, rows wait in memory; it is an error in the log of the program."""
    telemetry.reset()
    flush = Buffer.flush

    def refuses(buffer: Buffer) -> None:
        raise LogError("disk full")

    async def script(session: Session) -> None:
        await session.clock.sleep_until(START_MS + MINUTE // 2)
        monkeypatch.setattr(Buffer, "flush", refuses)
        await session.clock.sleep_until(START_MS + 2 * MINUTE + 1)
        monkeypatch.setattr(Buffer, "flush", flush)
        await session.clock.sleep_until(START_MS + 3 * MINUTE + 1)

    live(tmp_path, 0, script=script)

    assert sorted(slots(told(tmp_path))) == [0, 1, 2, 3]
    assert telemetry.snapshot()["nengliu_drivers_refused_writes_total"] >= 2


def test_memory_that_is_full_ends_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When rows fit nowhere, the collector ends with the buffer's error: a restart tells the gap truly."""
    put = Buffer.put

    def refuses(buffer: Buffer, key: str, at_ms: int, sequence: int, value: bytes) -> None:
        if at_ms >= START_MS + 2 * MINUTE:
            raise LogError("no room")
        put(buffer, key, at_ms, sequence, value)

    monkeypatch.setattr(Buffer, "put", refuses)
    with pytest.raises(LogError, match="no room"):
        live(tmp_path, 5)
    monkeypatch.setattr(Buffer, "put", put)
    live(tmp_path, 1, at=6.5)

    messages = told(tmp_path)
    assert slots(messages) == [0, 1, 7]
    (missed,) = [one for notice in notices(messages) for one in notice.missed]
    assert missed.count == 5


def test_clock_that_was_never_set_is_waited_for(tmp_path: Path) -> None:
    """At a start in January 1970 nothing is read or told; when the clock is right, the life begins."""
    config = make_config()

    async def script(session: Session) -> None:
        await session.clock.sleep_until(30 * MINUTE)
        session.clock.set_by(START_MS - 30 * MINUTE)
        await session.clock.sleep_until(START_MS + 2 * MINUTE + 1)

    live(tmp_path, 0, config, at=-START_MS / MINUTE, script=script)

    messages = told(tmp_path)
    assert slots(messages) == [0, 1, 2]
    assert all(event.at_ms >= START_MS for notice in notices(messages) for event in notice.events)


def test_clock_set_back_leaves_no_event_in_the_future(tmp_path: Path) -> None:
    """A log refuses a notice that speaks of tomorrow, with all that is in it."""

    async def script(session: Session) -> None:
        session.meters["line"].manners[1] = raises("TIMEOUT")
        await session.clock.sleep_until(START_MS + 90_000)
        session.clock.set_by(-1440 * MINUTE)
        session.meters["line"].manners.clear()
        await session.clock.sleep_until(START_MS - 1430 * MINUTE)

    live(tmp_path, 0, make_config(make_line(make_meter(1), make_meter(2))), script=script)

    told_events = [event for notice in notices(told(tmp_path)) for event in notice.events]
    assert any(event.kind == LinkKind.METER_UP and event.at_ms < START_MS for event in told_events)
    assert all(event.since_ms <= event.at_ms for event in told_events)


def test_days_of_quarter_hours_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over days with a meter that dies and a line that goes away, due = received + missing, per point."""
    monkeypatch.setattr(collector, "Buffer", partial(Buffer, synchronous="NORMAL"))
    config = make_config(
        make_line(make_meter(1, 900), make_meter(2, 900)),
        make_line(make_meter(3, 900), name="other"),
        heartbeat_s=3600,
    )
    days = 3 * 24 * 60

    async def script(session: Session) -> None:
        at = session.clock.sleep_until
        await at(START_MS + 600 * MINUTE)
        session.meters["line"].manners[1] = raises("TIMEOUT")
        await at(START_MS + 1500 * MINUTE)
        session.meters["other"].refuses_connections = True
        session.meters["other"].manners[3] = raises("LINE_DOWN")
        await at(START_MS + 2000 * MINUTE)
        session.meters["line"].manners.clear()
        session.meters["other"].refuses_connections = False
        session.meters["other"].manners.clear()
        await at(START_MS + days * MINUTE - 1)

    live(tmp_path, 0, config, script=script)

    messages = told(tmp_path)
    for meter in config.lines[0].meters + config.lines[1].meters:
        got = [frame for frame in frames(messages) if frame.schema == meter.schema]
        lost = sum(
            one.count
            for notice in notices(messages)
            for one in notice.missed
            if meter.points[0] in one.points
        )
        assert len({int(frame.read_at_ms[0]) for frame in got}) == len(got)
        assert len(got) + lost == days // 15
    assert len(events(messages, LinkKind.METER_DOWN)) == 1
    assert len(events(messages, LinkKind.LINE_DOWN)) == 1
