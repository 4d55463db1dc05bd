"""A plant's past in the log: in order of receipt, with the flaws that were ordered and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acquisition.simulator.plant import Plant
from acquisition.simulator.site import Flaw, FlawKind, first_site
from acquisition.simulator.story import booked, days_of, history, readings_of, span_of
from nengliu.domain.links import LinkKind
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS, day_of
from schemas.messages import MISSING, LinkNotice, RowsFrame, decode, encode

END_MS = 1_795_233_600_000 + 3 * HOUR_MS
SITE = first_site()


def plant(*flaws: Flaw, days: int = 12) -> Plant:
    return Plant(7, END_MS - days * DAY_MS, days, replace(SITE, flaws=flaws, change=None))


def flaw(kind: FlawKind, *points: str, value: int = 0, hours: float = 5) -> Flaw:
    return Flaw(kind, points, 60, hours, value)


def told(of: Plant, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stamps, values and receipts of one point, as they came."""
    at = of.site.column(name)
    frames = [message for message in history(of) if isinstance(message, RowsFrame)]
    rows = [
        (f.read_at_ms[f.column == at], f.values[f.column == at], f.received_at_s[f.column == at])
        for f in frames
    ]
    stamps, values, received = (np.concatenate(part) for part in zip(*rows, strict=True))
    return stamps, values, received


def links(of: Plant) -> list[LinkNotice]:
    return [message for message in history(of) if isinstance(message, LinkNotice)]


def test_history_is_told_by_china_days_in_order_of_receipt() -> None:
    """Each message holds a day's readings; nothing is received after what comes later in the log."""
    of = plant(days=45)
    days = list(days_of(of))
    frames = [message for day in days for message in day if isinstance(message, RowsFrame)]
    received = np.concatenate([frame.received_at_s for frame in frames])
    sequences = [frame.sequence for frame in frames]

    assert len(days) == 46
    assert all(len(np.unique(day_of(frame.received_at_s * 1000))) == 1 for frame in frames)
    assert len(set(sequences)) in (len(sequences), len(sequences) - 1)  # one may be delivered twice
    assert (np.diff(received) < 0).sum() <= len(sequences) - len(set(sequences))
    assert sum(map(readings_of, frames[:2])) < 960 * 2


def test_every_reading_is_told_once_soon_after_its_stamp() -> None:
    """Without flaws all points of all quarter-hours are there, received a few seconds later."""
    of = plant()
    stamps, _, received = told(of, "gas")
    amounts, _, _ = told(of, "output")

    assert stamps.tolist() == list(range(of.start_ms, of.end_ms + 1, QUARTER_MS))
    assert amounts.tolist() == list(range(of.start_ms, of.end_ms, QUARTER_MS))
    assert 2 <= (received - stamps // 1000).min() <= (received - stamps // 1000).max() < 15


def test_history_with_the_same_seed_is_the_same() -> None:
    """The same seed tells the same story, so that a broken writer can take it up again."""
    assert [encode(f) for f in history(plant())] == [encode(f) for f in history(plant())]
    assert all(type(decode(encode(m))) is type(m) for m in history(plant(flaw(FlawKind.STOPPED))))


@pytest.mark.parametrize("kind", [FlawKind.METER, FlawKind.LINE])
def test_silent_meter_leaves_a_hole_and_its_collector_says_so(kind: FlawKind) -> None:
    """Readings are missing, the register goes on, and the collector tells when it fell, rose and what was missed."""
    of = plant(flaw(kind, "grid", "grid-power"))
    start, end = span_of(of, of.site.flaws[0])
    stamps, values, _ = told(of, "grid")
    _, down, up = links(of)
    whole = LinkKind.LINE_DOWN if kind is FlawKind.LINE else LinkKind.METER_DOWN

    assert not ((stamps > start) & (stamps < end)).any()
    assert np.diff(values).max() > 10 * np.median(np.diff(values))
    assert (down.events[0].kind, down.events[0].line) == (whole, "electricity")
    assert up.events[0].since_ms == down.events[0].at_ms
    assert up.missed[0].count == len(range(start, end, QUARTER_MS)) - 1


def test_stopped_collector_says_at_its_next_start_what_it_missed() -> None:
    """Nothing was read meanwhile but the amounts that were booked."""
    of = plant(flaw(FlawKind.STOPPED))
    start, end = span_of(of, of.site.flaws[0])
    stamps, _, _ = told(of, "water")
    notice = links(of)[-1]

    assert not ((stamps > start) & (stamps < end)).any()
    assert len(told(of, "output")[0]) == of.days * 96
    assert notice.events[0].kind == LinkKind.COLLECTOR_STARTED
    assert set(notice.missed[0].points) == {c.point for c in SITE.channels} - {"output"}


def test_held_readings_come_later_all_at_once() -> None:
    """A collector that was off line sends what it kept when it is back; nothing is missing."""
    of = plant(flaw(FlawKind.HELD))
    start, end = span_of(of, of.site.flaws[0])
    stamps, _, received = told(of, "gas")
    held = (stamps > start) & (stamps < end)

    assert (received[held] >= end // 1000).all()
    assert received[held].max() < end // 1000 + 60
    assert len(stamps) == of.days * 96 + 1


def test_registers_that_stick_or_jump_are_right_again_afterwards() -> None:
    """What a flaw of the register did is over with it, so the history's sums stay true."""
    healthy = told(plant(), "gas")[1]
    stuck = told(plant(flaw(FlawKind.STUCK, "gas")), "gas")[1]
    shifted = told(plant(flaw(FlawKind.SHIFTED, "gas", value=-700)), "gas")[1]

    assert np.diff(stuck).min() == 0
    assert sorted(set((shifted - healthy).tolist())) == [-700, 0]
    assert 10 < (stuck != healthy).sum() < 25
    assert (stuck[-50:] == healthy[-50:]).all()


def test_gateway_that_repeats_itself_sends_the_same_with_another_receipt() -> None:
    """The same stamps and values come again some seconds later."""
    stamps, values, received = told(plant(flaw(FlawKind.TWICE, "gas", value=4)), "gas")
    again = np.flatnonzero(stamps[1:] == stamps[:-1])

    assert len(again) >= 19
    assert (values[again] == values[again + 1]).all()
    assert (received[again + 1] - received[again] == 4).all()


def test_output_of_a_quarter_is_booked_when_it_is_over() -> None:
    """It is stamped at the start of its quarter-hour, and no reading of a meter stands beside it."""
    of = plant()
    end = of.end_ms + QUARTER_MS
    frame = booked(of, of.end_ms, end, 5, 2)
    assert frame is not None

    assert booked(of, of.end_ms, end - 1, 5, 2) is None
    assert frame.read_at_ms.tolist() == [of.end_ms]
    there = [c.point for c, value in zip(SITE.channels, frame.values[0], strict=True) if value != MISSING]
    assert there == ["output"]
    assert (frame.sequence, frame.received_at_s) == (5 << 32 | 2, -(-end // 1000))


def test_output_after_a_pause_is_booked_for_every_quarter_once() -> None:
    """Amounts that were told in parts are those told at once, and none is told twice."""
    of = plant()
    stop = of.end_ms + 3 * HOUR_MS + 5_000
    cut = of.end_ms + HOUR_MS + 20_000
    parts = [booked(of, of.end_ms, cut, 5, 1), booked(of, cut, stop, 5, 2)]
    whole = booked(of, of.end_ms - DAY_MS, stop, 5, 1)
    assert whole is not None

    assert [len(part.read_at_ms) for part in parts if part] == [4, 8]
    assert np.concatenate([part.values for part in parts if part]).tolist() == whole.values.tolist()
    assert booked(of, stop, stop + 20_000, 5, 3) is None


def test_short_history_leaves_out_what_it_cannot_hold() -> None:
    """A plant of two days has no flaw before its second day."""
    of = plant(flaw(FlawKind.METER, "gas"), days=2)

    assert len(links(of)) == 1
    assert len(told(of, "gas")[0]) == 2 * 96 + 1
