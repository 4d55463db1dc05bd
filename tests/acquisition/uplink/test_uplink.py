"""The uplink over the real log: breaks, restarts, lost answers, silence; in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from uplink.rig import HOUR_S, START_MS, Rig, play

from acquisition.drivers.upward import uplink as uplink_module
from nengliu.domain.links import LinkKind
from schemas.messages import Frame, LinkNotice, decode


def assert_whole(rig: Rig) -> None:
    """Every reading is in the log; dedup by sequence leaves each once, and repetitions are byte-equal."""
    versions: dict[int, set[bytes]] = {}
    for frame, value in _with_values(rig):
        versions.setdefault(frame.sequence, set()).add(value)
    assert set(versions) == set(rig.put_at)
    assert all(len(values) == 1 for values in versions.values())


def _with_values(rig: Rig) -> Iterator[tuple[Frame, bytes]]:
    for record in rig.records():
        frame = decode(record.value)
        if isinstance(frame, Frame):
            yield frame, record.value


def rising(sequences: list[int]) -> bool:
    return all(before < after for before, after in pairwise(sequences))


class TestFair:
    """The log answers."""

    def test_run_rows_arrive_at_once_and_unmarked(self, tmp_path: Path) -> None:
        """A reading is in the log before the next one is taken."""

        async def story(rig: Rig) -> None:
            for _ in range(5):
                sequence = rig.poll()
                await rig.clock.quiet()
                assert rig.frames()[-1].sequence == sequence
                await rig.advance(10)

        rig = play(tmp_path, story)
        assert not any(frame.backfilled for frame in rig.frames())
        assert len(rig.frames()) == 5
        assert rig.kinds() == [LinkKind.LOG_UP]
        assert rig.weather.opened == 1

    def test_run_many_rows_go_in_bounded_batches(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A burst is cut by count and by bytes; a row larger than a batch still goes."""
        monkeypatch.setattr(uplink_module, "BATCH_ROWS", 7)
        monkeypatch.setattr(uplink_module, "BATCH_BYTES", 250)

        async def story(rig: Rig) -> None:
            for _ in range(20):
                rig.poll()
            await rig.clock.quiet()
            monkeypatch.setattr(uplink_module, "BATCH_BYTES", 1)
            rig.poll()
            await rig.clock.quiet()

        rig = play(tmp_path, story)
        assert_whole(rig)
        sizes = [sum(len(value) for _, value in rows) for _, rows in rig.weather.tries]
        assert all(
            size <= 250 or len(rows) == 1 for size, (_, rows) in zip(sizes, rig.weather.tries, strict=True)
        )
        assert max(len(rows) for _, rows in rig.weather.tries) > 1


class TestBreak:
    """The log is away for a while."""

    def test_run_short_break_is_repeated_live(self, tmp_path: Path) -> None:
        """Below a minute nothing becomes backfill: the rows come in order, unmarked."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            rig.weather.down = True
            await rig.go(30)
            rig.weather.down = False
            await rig.go(120)

        rig = play(tmp_path, story)
        assert_whole(rig)
        assert rising([frame.sequence for frame in rig.frames()])
        assert not any(frame.backfilled for frame in rig.frames())
        assert rig.kinds() == [LinkKind.LOG_UP, LinkKind.LOG_DOWN, LinkKind.LOG_UP]

    def test_run_break_of_hours_live_first_backlog_marked_and_limited(self, tmp_path: Path) -> None:
        """After three hours: what is new comes at once, the backlog behind it, marked, at its rate, exactly once."""

        async def story(rig: Rig) -> None:
            await rig.go(60)
            rig.weather.down = True
            await rig.go(3 * HOUR_S)
            rig.weather.down = False
            await rig.go(60 + HOUR_S)

        rig = play(tmp_path, story, backfill_per_s=2)
        assert_whole(rig)
        frames = rig.frames()
        assert max(Counter(frame.sequence for frame in frames).values()) == 1
        late = [frame.sequence for frame in frames if frame.backfilled]
        live = [frame.sequence for frame in frames if not frame.backfilled]
        assert rising(late)
        assert rising(live)
        cut_ms, back_ms = START_MS + 60_000, START_MS + (60 + 3 * HOUR_S) * 1000
        unmarked = [rig.put_at[sequence] for sequence in live if cut_ms <= rig.put_at[sequence] < back_ms]
        assert unmarked[0] == cut_ms  # the one row that was tried live
        assert all(at_ms >= back_ms - 60_000 for at_ms in unmarked[1:])  # and those too young to be late
        order = [frame.sequence for frame in frames]
        first_new = next(sequence for sequence in live if rig.put_at[sequence] >= back_ms + 60_000)
        assert order.index(first_new) < order.index(late[len(late) // 2])
        down, up, done = rig.events[1:]
        assert [down.kind, up.kind, done.kind] == [LinkKind.LOG_DOWN, LinkKind.LOG_UP, LinkKind.BACKFILL_DONE]
        assert up.since_ms == down.at_ms
        assert int(up.parameters["queued"]) >= len(late)
        assert int(done.parameters["rows"]) == len(late) + 1  # and the notice that the log was down
        assert done.at_ms - up.at_ms >= 1000 * (len(late) - 2) // 2

    def test_run_live_rows_never_wait_for_the_backlog(self, tmp_path: Path) -> None:
        """While a backlog is on its way each new reading is in the log before the next one."""

        async def story(rig: Rig) -> None:
            rig.weather.down = True
            await rig.go(HOUR_S)
            rig.weather.down = False
            await rig.go(120)
            for _ in range(20):
                sequence = rig.poll()
                await rig.clock.quiet()
                assert sequence in {frame.sequence for frame in rig.frames()}
                assert rig.buffer.queued("centre")[1] > 0
                await rig.advance(10)

        play(tmp_path, story, backfill_per_s=1)

    def test_run_log_is_back_news_comes_before_the_backlog(self, tmp_path: Path) -> None:
        """That the log is up again is known at once, not when everything has been sent."""

        async def story(rig: Rig) -> None:
            rig.weather.down = True
            await rig.go(HOUR_S)
            rig.weather.down = False
            await rig.go(HOUR_S)

        rig = play(tmp_path, story, backfill_per_s=1)
        up = next(event for event in rig.events if event.kind == LinkKind.LOG_UP)
        messages = [decode(record.value) for record in rig.records()]
        told = next(at for at, m in enumerate(messages) if isinstance(m, LinkNotice) and up in m.events)
        first_late = next(at for at, m in enumerate(messages) if isinstance(m, Frame) and m.backfilled)
        assert told < first_late + 2

    def test_run_break_pauses_grow_to_a_minute_without_end(self, tmp_path: Path) -> None:
        """Tries come after 1, 2, 4 .. 60 s with jitter, for ever; each is the same batch on a log opened anew."""
        slots: list[int] = []

        async def story(rig: Rig) -> None:
            await rig.go(10)
            rig.weather.down = True
            opened = rig.weather.opened
            await rig.go(2 * HOUR_S)
            slots.append(rig.weather.opened - opened)
            rig.weather.down = False
            await rig.go(120)

        rig = play(tmp_path, story)
        assert 2 * HOUR_S / 60 < slots[0] < 2 * HOUR_S / 45 + 8
        assert_whole(rig)

    def test_run_answer_lost_repetition_is_byte_equal(self, tmp_path: Path) -> None:
        """An append that arrived although it failed is repeated as it was."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            rig.weather.ack_lost = True
            await rig.go(300)
            rig.weather.ack_lost = False
            await rig.go(300)

        rig = play(tmp_path, story)
        assert_whole(rig)
        assert max(Counter(frame.sequence for frame in rig.frames()).values()) > 5

    def test_run_two_breaks_all_arrive(self, tmp_path: Path) -> None:
        """A second break in the middle of the first one's backlog loses nothing."""

        async def story(rig: Rig) -> None:
            for _ in range(2):
                rig.weather.down = True
                await rig.go(HOUR_S)
                rig.weather.down = False
                await rig.go(150)
            await rig.go(HOUR_S)

        rig = play(tmp_path, story, backfill_per_s=2)
        assert_whole(rig)
        assert rig.kinds().count(LinkKind.BACKFILL_DONE) == 1


class TestRestart:
    """The collector's process ends at a bad moment."""

    def test_run_restart_in_the_backlog_goes_on_where_it_was(self, tmp_path: Path) -> None:
        """Killed in the middle of a backfill, the next process sends the rest, and says when it is done."""

        async def story(rig: Rig) -> None:
            rig.weather.down = True
            await rig.go(HOUR_S)
            rig.weather.down = False
            for _ in range(4):
                await rig.go(130)
                left = rig.buffer.queued("centre")[1]
                await rig.die()
                rig.start()
                assert rig.buffer.queued("centre")[1] == left
            await rig.go(HOUR_S)

        rig = play(tmp_path, story, backfill_per_s=1)
        assert_whole(rig)
        assert rig.kinds() == [LinkKind.LOG_DOWN, LinkKind.LOG_UP, LinkKind.BACKFILL_DONE]
        assert int(rig.events[-1].parameters["rows"]) >= HOUR_S // 10 - 6

    def test_run_died_between_append_and_acknowledgement_repeats_byte_equal(self, tmp_path: Path) -> None:
        """The log had it, the buffer did not know: it comes again, the same to the last byte, even hours later."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            rig.weather.ack_lost = True
            rig.poll()
            rig.poll()
            await rig.clock.quiet()
            await rig.die()
            await rig.advance(5 * HOUR_S)
            rig.weather.ack_lost = False
            rig.start()
            await rig.go(60)

        rig = play(tmp_path, story)
        assert_whole(rig)
        counts = Counter(frame.sequence for frame in rig.frames())
        assert sorted(counts.values())[-2:] == [2, 2]
        assert not any(frame.backfilled for frame in rig.frames())

    def test_run_restart_while_down_remembers_since_when(self, tmp_path: Path) -> None:
        """LOG_DOWN is told once, whatever restarts; LOG_UP says since when it was down."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            rig.weather.down = True
            for _ in range(3):
                await rig.go(100)
                await rig.die()
                rig.start()
            rig.weather.down = False
            await rig.go(200)

        rig = play(tmp_path, story)
        assert rig.kinds() == [
            LinkKind.LOG_UP, LinkKind.LOG_DOWN, LinkKind.LOG_UP, LinkKind.BACKFILL_DONE,
        ]  # fmt: skip
        assert rig.events[2].since_ms == rig.events[1].at_ms
        assert_whole(rig)


class TestSilence:
    """The log neither takes nor refuses."""

    def test_run_append_hangs_polls_go_on_and_it_is_told(self, tmp_path: Path) -> None:
        """A log that never returns blocks nobody; after a minute it counts as down, and it may come back."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            slow = rig.weather.slow = threading.Event()
            await rig.go(HOUR_S)
            assert rig.uplink.in_flight == 1
            assert rig.kinds() == [LinkKind.LOG_UP, LinkKind.LOG_DOWN]
            assert rig.buffer.queued("centre")[0] > HOUR_S // 10 - 2
            rig.weather.slow = None
            slow.set()
            await rig.clock.working(rig.uplink._errand.done())  # time had gone on without it
            await rig.go(200)

        rig = play(tmp_path, story)
        assert_whole(rig)
        assert rig.kinds()[2:] == [LinkKind.LOG_UP, LinkKind.BACKFILL_DONE]
        assert max(Counter(frame.sequence for frame in rig.frames()).values()) == 1

    def test_drain_log_hangs_ends_with_its_patience(self, tmp_path: Path) -> None:
        """A clean stop does not wait for a log that is silent."""

        async def story(rig: Rig) -> None:
            rig.weather.slow = threading.Event()
            rig.poll()
            await rig.advance(5)
            await rig.stop()
            before_ms = rig.clock.now_ms()
            drain = asyncio.ensure_future(rig.uplink.drain(3))
            await rig.advance(10)
            assert drain.done()
            assert rig.clock.now_ms() - before_ms == 10_000

        play(tmp_path, story)


class TestClock:
    """Somebody sets the collector's clock."""

    @pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
    def test_run_clock_set_while_an_append_is_on_its_way_is_no_silence(
        self, tmp_path: Path, by_s: int
    ) -> None:
        """A log is down after a minute of true waiting, not because the clock says that an hour has passed."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            slow = rig.weather.slow = threading.Event()
            rig.poll()
            await rig.advance(20)
            rig.clock.set_by(1000 * by_s)
            await rig.advance(20)
            assert rig.kinds() == [LinkKind.LOG_UP]
            await rig.advance(30)
            assert rig.kinds() == [LinkKind.LOG_UP, LinkKind.LOG_DOWN]
            slow.set()

        play(tmp_path, story)

    def test_run_clock_set_back_in_a_backlog_does_not_hold_it_up(self, tmp_path: Path) -> None:
        """The pace of the backfill is no appointment at an hour that now lies a day ahead."""

        async def story(rig: Rig) -> None:
            rig.weather.down = True
            await rig.go(HOUR_S)
            rig.weather.down = False
            await rig.go(150)
            assert rig.buffer.queued("centre")[1] > 100
            rig.clock.set_by(-24 * HOUR_S * 1000)
            await rig.go(600)
            assert rig.buffer.queued("centre")[1] == 0

        assert_whole(play(tmp_path, story, backfill_per_s=1))

    def test_drain_clock_set_back_keeps_its_patience(self, tmp_path: Path) -> None:
        """A stop waits as long as it was told, not an hour longer."""

        async def story(rig: Rig) -> None:
            rig.weather.slow = threading.Event()
            rig.poll()
            await rig.advance(5)
            await rig.stop()
            drain = asyncio.ensure_future(rig.uplink.drain(3))
            await rig.advance(1)
            rig.clock.set_by(-HOUR_S * 1000)
            await rig.advance(3)
            assert drain.done()

        play(tmp_path, story)


class TestDrain:
    """A clean stop."""

    def test_drain_sends_what_is_pending(self, tmp_path: Path) -> None:
        """The last words of a collector arrive."""

        async def story(rig: Rig) -> None:
            await rig.go(30)
            await rig.stop()
            rig.poll()
            await rig.uplink.drain(3)
            assert rig.buffer.queued("centre") == (0, 0)

        assert_whole(play(tmp_path, story))

    def test_drain_log_away_gives_up_and_keeps_all(self, tmp_path: Path) -> None:
        """One refusal is enough: the next process sends it."""

        async def story(rig: Rig) -> None:
            rig.weather.down = True
            await rig.stop()
            rig.poll()
            await rig.uplink.drain(3)
            assert rig.buffer.queued("centre") == (1, 0)
            rig.weather.down = False
            await rig.die()
            rig.start()
            await rig.go(30)

        assert_whole(play(tmp_path, story))


class TestRoom:
    """The buffer fills up."""

    def test_run_buffer_fills_told_once_per_crossing(self, tmp_path: Path) -> None:
        """QUEUE_HIGH comes once, not at each poll; and again only after the buffer had emptied."""

        async def story(rig: Rig) -> None:
            await rig.go(10)
            await rig.die()
            rig.room_bytes = 60 * 4096
            rig.start()
            for _ in range(2):
                rig.weather.down = True
                while rig.buffer.fill() < 0.85:
                    await rig.go(100, 1)
                rig.weather.down = False
                await rig.go(1000)
                while rig.buffer.trim(rig.clock.now_ms() + 20 * 86_400_000):
                    pass
                await rig.go(100)

        rig = play(tmp_path, story)
        assert rig.kinds().count(LinkKind.QUEUE_HIGH) == 2
        assert int(next(e for e in rig.events if e.kind == LinkKind.QUEUE_HIGH).parameters["percent"]) >= 80
        assert_whole(rig)
