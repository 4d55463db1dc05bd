"""The conformance suite: what every driver owes its collector, proved on real sockets, terminals and files.

Each driver lives one life beside the others: a start, each fault of its peer and its end, a kill, a clean
stop.  Then everything that reached the log is judged against all that the source ever showed.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest
from rigs import FAULTS, KINDS, NEIGHBOUR, POINT, QUARANTINE, Kind, Rig, rigged

from acquisition.drivers.collector import Collector, run_collector
from acquisition.drivers.config import load_config
from nengliu.bus.open import open_log
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin
from nengliu.settings import Settings
from schemas.messages import (
    MISSING,
    Frame,
    LinkNotice,
    Message,
    RejectedNotice,
    SchemaNotice,
    decode,
)
from schemas.topics import RAW

PATIENCE_S = 40.0
"""How long something that must come is waited for; the machine may be busy."""
METER_FAULTS = ("garbage", "foreign")
ORIGINS = {"opcua": Origin.OPC, "sql": Origin.SQL, "folder": Origin.FILE}
NAMES = [kind.name for kind in KINDS]


@dataclass
class Seen:
    """What a collector put into its buffer, as it did."""

    messages: list[Message] = field(default_factory=list)

    def values(self, point: str = POINT) -> int:
        return len(values_of(self.messages, point))

    def events(self) -> list[LinkKind]:
        notices = (one for one in self.messages if isinstance(one, LinkNotice))
        return [LinkKind(event.kind) for notice in notices for event in notice.events]

    def has(self, wanted: LinkKind | str, after: int) -> bool:
        later = self.messages[after:]
        if wanted == QUARANTINE:
            return any(isinstance(one, RejectedNotice) for one in later)
        return wanted in Seen(later).events()


@dataclass
class Record:
    """What became of a driver's life."""

    sent: list[Message] = field(default_factory=list)
    shown: Sequence[Fraction] = ()
    counts: bool = True
    origin: Origin = Origin.TIMED
    told: dict[str, bool] = field(default_factory=dict)
    healed: dict[str, bool] = field(default_factory=dict)
    neighbour: dict[str, bool] = field(default_factory=dict)
    after_kill: bool = False
    stop_s: float = 0.0


def values_of(messages: Sequence[Message], point: str) -> list[tuple[int, Fraction]]:
    """Instant and value of each reading of a point, in the order in which they were sent."""
    columns = {one.value.schema: one.value.columns for one in messages if isinstance(one, SchemaNotice)}
    found = []
    for one in messages:
        if isinstance(one, Frame):
            for place, column in enumerate(columns[one.schema]):
                if column.point == point:
                    rows = zip(one.read_at_ms.tolist(), one.values[:, place].tolist(), strict=True)
                    found += [(at, Fraction(v, 10**column.decimals)) for at, v in rows if v != MISSING]
    return found


class Life:
    """A collector of one rig, started and ended as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder, Settings(home=folder / "home")
        self.seen = Seen()
        self.collector: Collector | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        config = load_config(self.folder / "collector.toml")
        self.task = asyncio.create_task(run_collector(self.settings, config, on_ready=self._watch))

    def _watch(self, collector: Collector) -> None:
        self.collector, put = collector, collector._put

        def watched(sequence: int, value: bytes) -> None:
            self.seen.messages.append(decode(value))
            put(sequence, value)

        collector._put = watched  # type: ignore[method-assign]

    async def until(self, true: Callable[[], bool]) -> bool:
        """Wait for something; False if it does not come."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert self.task is not None
            if self.task.done():
                self.task.result()
                raise AssertionError("the collector ended by itself")
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    async def flows(self, rig: Rig, count: int = 2) -> bool:
        """Wait until so many more values have come; a source that does not count gives them."""
        goal = self.seen.values() + count
        if not rig.counts:
            goal = len(rig.shown()) + count
            for _ in range(count):
                await rig.give()
        return await self.until(lambda: self.seen.values() >= goal)

    async def kill(self) -> None:
        """End it as a power cut does: nothing is put away, and the system closes what was open."""
        assert self.collector is not None
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await asyncio.gather(*(line.connection.close() for line in self.collector.lines))

    async def stop(self) -> float:
        """End it cleanly; gives how long that took [s]."""
        assert self.collector is not None
        assert self.task is not None
        begun = time.monotonic()
        await self.collector.stop()
        await self.task
        return time.monotonic() - begun

    def sent(self) -> list[Message]:
        """All that reached the log, in its order; what was sent again, since a kill left it in doubt, once."""
        log = open_log(self.settings)
        records = [record for p in range(4) for record in log.read(RAW, p, 0, 100_000)]
        log.close()
        found: dict[int, Message] = {}
        values: dict[int, bytes] = {}
        for n, record in enumerate(records):
            message = decode(record.value)
            sequence = message.sequence if isinstance(message, Frame | LinkNotice) else -n
            assert values.setdefault(sequence, record.value) == record.value, "a repetition differs"
            found.setdefault(sequence, message)
        return list(found.values())


async def live(kind: Kind, folder: Path) -> Record:
    """Let a driver live."""
    record = Record()
    async with rigged(kind, folder) as rig:
        record.counts = rig.counts
        record.origin = ORIGINS.get(kind.name, Origin.TIMED)
        await _live(rig, Life(folder), record)
        record.shown = list(rig.shown())
    return record


async def _live(rig: Rig, life: Life, record: Record) -> None:
    life.start()
    assert await life.flows(rig), "no first value came"
    for fault in FAULTS:
        after = len(life.seen.messages)
        others = life.seen.values(NEIGHBOUR)
        await rig.spoil(fault)
        record.told[fault] = await life.until(
            lambda fault=fault, after=after: any(life.seen.has(one, after) for one in rig.expected[fault])  # type: ignore[misc]
        )
        if rig.counts and fault in METER_FAULTS:
            record.neighbour[fault] = await life.until(
                lambda others=others: life.seen.values(NEIGHBOUR) > others
            )  # type: ignore[misc]
        await rig.heal(fault)
        record.healed[fault] = await life.flows(rig, 1)
    await life.kill()
    if not rig.counts:
        await rig.give()  # while nobody listens
    life.start()
    record.after_kill = await life.flows(rig, 1)
    record.stop_s = await life.stop()
    record.sent = life.sent()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record | BaseException]:
    """All lives, lived at the same time."""

    async def all_lives() -> list[Record | BaseException]:
        lives = (live(kind, tmp_path_factory.mktemp(kind.name)) for kind in KINDS)
        return await asyncio.gather(*lives, return_exceptions=True)

    return dict(zip(NAMES, asyncio.run(all_lives()), strict=True))


@pytest.fixture(params=NAMES)
def record(request: pytest.FixtureRequest, records: dict[str, Record | BaseException]) -> Record:
    """The life of one driver."""
    found = records[request.param]
    if isinstance(found, BaseException):
        raise found
    return found


def test_every_value_is_exactly_what_the_source_showed(record: Record) -> None:
    """Nothing is invented and nothing rounded; a source with stamps of its own arrives whole, in order, once."""
    values = [value for _, value in values_of(record.sent, POINT)]
    assert values
    if record.counts:
        assert set(values) <= set(record.shown)
        assert values == sorted(values), "a register that only counts up came out of order"
    else:
        assert values == list(record.shown)


def test_origin_says_how_a_value_came_to_be(record: Record) -> None:
    """Polls of meters are timed, what other systems hold bears their name."""
    origins = {one.origin for one in record.sent if isinstance(one, Frame)}
    assert origins == {record.origin}


def test_nothing_comes_twice(record: Record) -> None:
    """Over faults, a kill and a restart no instant of a point has two readings."""
    for point in (POINT, NEIGHBOUR):
        instants = [at for at, _ in values_of(record.sent, point)]
        assert len(instants) == len(set(instants)), point


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_the_peer_is_told(record: Record, fault: str) -> None:
    """Silence, garbage, a wrong answer and a lost port each have their event or quarantined row."""
    assert record.told[fault]


@pytest.mark.parametrize("fault", FAULTS)
def test_values_come_again_after_a_fault(record: Record, fault: str) -> None:
    """When the peer behaves again, so does the driver, by itself."""
    assert record.healed[fault]


def test_neighbour_is_read_while_a_meter_is_faulty(record: Record) -> None:
    """The fault of a meter is its own; a server that is silent takes its whole line."""
    if record.counts:
        assert record.neighbour == dict.fromkeys(METER_FAULTS, True)


def test_values_go_on_after_a_kill(record: Record) -> None:
    """The next process takes up where the disk ends."""
    assert record.after_kill


def test_clean_stop_is_quick(record: Record) -> None:
    """A stop waits for no peer."""
    assert record.stop_s < 10


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_cancel_leaves_nothing_behind(kind: Kind, tmp_path: Path) -> None:
    """Cancelled while it reads, a driver leaves no task, no socket and no file descriptor of a terminal open."""

    async def script() -> None:
        async with rigged(kind, tmp_path) as rig:
            life = Life(tmp_path)
            life.start()
            assert await life.flows(rig, 1)
            begun = time.monotonic()
            await life.kill()
            assert time.monotonic() - begun < 5
        await asyncio.sleep(0.05)  # the peer, which has ended too, sees the end of the connection
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(script())
    gc.collect()  # whatever was not closed warns now, and warnings are errors
