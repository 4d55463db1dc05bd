"""A full buffer: gauges give way, oldest first; counters and what may have been sent never."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from factories import ENTERPRISE, make_point
from meters import START_MS, make_config, make_line, make_meter
from uplink.centres_rig import Centres, play
from uplink.rig import Weather
from virtual import VirtualClock

from acquisition.drivers import intake as intake_module
from acquisition.drivers.config import CollectorConfig
from acquisition.drivers.intake import Intake
from acquisition.drivers.keeping.buffer import Buffer, Pending
from acquisition.drivers.keeping.thinning import Loss, is_secondary, missed_of, thin
from acquisition.drivers.plans import CentrePlan
from acquisition.drivers.upward.centres import keep_schemas
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Column, Kind
from nengliu.domain.quality import Reason
from schemas.messages import MISSING, Frame, LinkEvent, LinkNotice, Missed, decode, encode

COLUMNS = (Column("energy", "kWh", 2), Column("power", "kW", 1), Column("voltage", "V", 1))
POINTS = (
    make_point("energy", kind=Kind.COUNTER),
    make_point("power", kind=Kind.GAUGE, item="electricity"),
    make_point("voltage", kind=Kind.GAUGE, item="electricity"),
)


def frame(sequence: int, *cells: int, at_ms: int = 5, marks: list[int] | None = None) -> bytes:
    quality = None if marks is None else np.array([marks], np.uint8)
    values = np.array([cells], np.int64)
    return encode(Frame(ENTERPRISE, 7, "c", sequence, 1, np.array([at_ms]), values, quality))


def row(sequence: int, value: bytes) -> Pending:
    return Pending(sequence, 5, ENTERPRISE, value)


def notice(*events: LinkEvent, missed: tuple[Missed, ...] = ()) -> bytes:
    return encode(LinkNotice(ENTERPRISE, "c", 3, 1, events, missed))


def test_thin_takes_gauges_out_and_counts_them() -> None:
    """Of a mixed message the counter stays, with its quality; what went is counted point by point."""
    rows = [
        row(1, frame(1, 10, 20, 30, at_ms=5, marks=[5, 5, 0])),
        row(2, frame(2, 11, MISSING, 31, at_ms=9)),
    ]
    found = thin(rows, lambda schema: COLUMNS, POINTS)

    first, second = (decode(one.value) for one in found.changed)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (first.values.tolist(), second.values.tolist()) == (
        [[10, MISSING, MISSING]],
        [[11, MISSING, MISSING]],
    )
    assert first.quality is not None
    assert first.quality.tolist() == [[5, 0, 0]]
    assert (first.sequence, first.read_at_ms.tolist()) == (1, [5])
    assert found.losses == {"power": Loss(1, 5, 5), "voltage": Loss(2, 5, 9)}


def test_thin_message_of_gauges_alone_and_pulses_go_whole() -> None:
    """Nothing is left of a message that holds no counter; a pulse of last week is of no use."""
    pulse = LinkEvent(1, LinkKind.HEARTBEAT)
    rows = [row(1, frame(1, MISSING, 20, 30)), row(2, notice(pulse))]

    assert [one.value for one in thin(rows, lambda schema: COLUMNS, POINTS).changed] == [b"", b""]


@pytest.mark.parametrize(
    "value",
    [
        frame(1, 10, MISSING, MISSING),
        notice(LinkEvent(1, LinkKind.HEARTBEAT), LinkEvent(1, LinkKind.LINE_DOWN, "north")),
        notice(LinkEvent(1, LinkKind.HEARTBEAT), missed=(Missed(1, 1, 1, Reason.TIMEOUT, ("energy",)),)),
    ],
)
def test_thin_leaves_counters_changes_and_what_is_missing(value: bytes) -> None:
    """What is no gauge and no pulse stays as it is."""
    found = thin([row(1, value)], lambda schema: COLUMNS, POINTS)
    assert (found.changed, found.losses) == ([], {})


def test_thin_unknown_column_list_is_left_alone() -> None:
    """Where nobody knows what the columns are, nothing is taken."""
    assert thin([row(1, frame(1, 1, 2, 3))], lambda schema: None, POINTS).changed == []


@pytest.mark.parametrize(
    ("unit", "secondary"), [("kWh", False), ("m3", False), ("kW", True), ("degC", True), ("?", False)]
)
def test_is_secondary_point_that_nobody_introduced_is_judged_by_its_unit(
    unit: str, *, secondary: bool
) -> None:
    """What could add up is kept; so is what nobody knows."""
    assert is_secondary(Column("x", unit, 0), {}) is secondary


def test_missed_of_points_of_one_range_stand_together() -> None:
    """A meter's gauges were lost together and are told together."""
    losses = {"b": Loss(2, 5, 9), "a": Loss(2, 5, 9), "c": Loss(1, 5, 5)}
    assert missed_of(losses) == (
        Missed(5, 9, 2, Reason.DROPPED, ("a", "b")),
        Missed(5, 5, 1, Reason.DROPPED, ("c",)),
    )


class TestUntried:
    """Which rows may still be changed."""

    @staticmethod
    def filled(path: Path, count: int) -> tuple[Buffer, list[int]]:
        buffer = Buffer(path / "b.sqlite", synchronous="OFF")
        buffer.boot(START_MS)
        sequences = [buffer.next_sequence() for _ in range(count)]
        for sequence in sequences:
            buffer.put(ENTERPRISE, START_MS, sequence, frame(sequence, 1, 2, 3))
        buffer.flush()
        return buffer, sequences

    def test_untried_leaves_out_what_any_centre_was_tried_with(self, tmp_path: Path) -> None:
        """A live batch on its way to one centre is fixed, though the other was never tried."""
        buffer, sequences = self.filled(tmp_path, 10)
        buffer.queued("b")
        buffer.try_live("a", sequences[3])
        buffer.ack_live("a", sequences[1])

        found = [one.sequence for one in buffer.untried(0, 100)]
        assert found == sequences[:2] + sequences[4:]
        assert [one.sequence for one in buffer.untried(sequences[4], 2)] == sequences[5:7]
        buffer.close()

    def test_untried_leaves_out_what_every_centre_has(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A copy of what has arrived is no loss to anybody, and would be told as one."""
        monkeypatch.setattr("acquisition.drivers.keeping.centre.BATCH_ROWS", 1)
        buffer, sequences = self.filled(tmp_path, 6)
        buffer.make_gap("a")
        buffer.ack_backfill("a", sequences[1])

        assert [one.sequence for one in buffer.untried(0, 100)] == sequences[3:]
        buffer.close()

    def test_untried_leaves_out_the_head_of_a_backlog(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch of backfill may have arrived without an acknowledgement: its bytes are fixed, too."""
        monkeypatch.setattr("acquisition.drivers.keeping.centre.BATCH_ROWS", 3)
        buffer, sequences = self.filled(tmp_path, 10)
        buffer.make_gap("a")

        assert [one.sequence for one in buffer.untried(0, 100)] == sequences[3:]
        buffer.close()

    def test_thin_is_durable_with_its_state_and_counted(self, tmp_path: Path) -> None:
        """Rows that went are not waited for, and after a crash both the rows and the state are there or neither."""
        buffer, sequences = self.filled(tmp_path, 4)
        assert buffer.queued("a") == (4, 0)
        rows = buffer.untried(0, 2)
        changed = [
            Pending(rows[0].sequence, 5, ENTERPRISE, b""),
            Pending(rows[1].sequence, 5, ENTERPRISE, b"small"),
        ]
        buffer.thin(changed, "dropped", "told", 9)

        assert buffer.queued("a") == (3, 0)
        assert [one.value for one in buffer.live("a", 1)] == [b"small"]
        buffer._file.close()
        again = Buffer(tmp_path / "b.sqlite")
        assert again.state("dropped") == ("told", 9)
        assert again.queued("a") == (3, 0)
        assert [one.sequence for one in again.live("a", 9)] == sequences[1:]
        again.close()


def config_of() -> CollectorConfig:
    meters = (make_meter(unit, registers=20) for unit in (1, 2))
    points = tuple(make_point(f"m{unit}-r0", kind=Kind.COUNTER, unit="kW", decimals=1) for unit in (1, 2))
    centres = CentrePlan("all"), CentrePlan("away")
    return make_config(make_line(*meters), centres=centres, points=points, heartbeat_s=600)


def test_full_buffer_lets_gauges_go_and_keeps_every_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One centre is away until the room is taken: the other goes on, the first gets every counter, all is told."""
    monkeypatch.setattr(intake_module, "FULL", 0.7)

    async def story(rig: Centres) -> None:
        rig.weather["away"] = Weather()
        rig.weather["away"].down = True
        await rig.go(0.5)
        assert rig.collector is not None
        rig.collector.buffer.give_room(15, 130 * 4096)
        await rig.go(900)
        assert rig.collector.buffer.fill() < 0.9
        rig.weather["away"].down = False
        await rig.go(60)

    rig = play(tmp_path, config_of(), story)

    def cells(centre: str, column: int) -> list[int]:
        frames = {one.sequence: one for one in rig.frames(centre)}.values()
        return [int(one.read_at_ms[0]) for one in frames if one.values[0, column] != MISSING]

    assert sorted(cells("away", 0)) == sorted(cells("all", 0))
    assert len(cells("all", 0)) == 2 * 961
    assert len(cells("away", 1)) < len(cells("all", 1)) == 2 * 961
    dropped = rig.events("away", LinkKind.DATA_DROPPED)
    assert dropped
    assert rig.events("all", LinkKind.DATA_DROPPED) == dropped
    notices = {one.sequence: one for one in rig.messages("away") if isinstance(one, LinkNotice)}.values()
    lost = [missed for one in notices for missed in one.missed if missed.reason == Reason.DROPPED]
    told = sum(missed.count for missed in lost if "m1-r1" in missed.points)
    told += sum(missed.count for missed in lost if "m2-r1" in missed.points)
    assert told == 2 * 961 - len(cells("away", 1))
    assert not any("m1-r0" in missed.points for missed in lost)


def test_what_gave_way_is_told_by_the_next_life_if_this_one_dies(tmp_path: Path) -> None:
    """The state that was written with the thinner rows is enough to tell of them, once."""
    config = config_of()

    async def work() -> list[bytes]:
        buffer = Buffer(tmp_path / "b.sqlite", synchronous="OFF")
        buffer.boot(START_MS)
        keep_schemas(buffer, config.schemas(), START_MS)
        state = '{"after": 9, "rows": 3, "losses": {"m1-r1": {"count": 3, "first_ms": 5, "last_ms": 9}}}'
        buffer.thin([], "dropped", state, START_MS)
        desk = Intake(config, buffer, VirtualClock(START_MS), None)
        for _ in range(2):
            desk.tell_dropped()
            desk._flush()
        values = [one.value for one in buffer.live("all", 9)]
        buffer.close()
        return values

    (told,) = [decode(value) for value in asyncio.run(work())]
    assert isinstance(told, LinkNotice)
    assert [event.kind for event in told.events] == [LinkKind.DATA_DROPPED]
    assert told.events[0].parameters == {"rows": "3"}
    assert told.missed == (Missed(5, 9, 3, Reason.DROPPED, ("m1-r1",)),)
