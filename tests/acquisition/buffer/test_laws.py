"""The laws of the buffer: a model of lists against the file, whatever happens in whatever order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.drivers.keeping.buffer import DAY_MS, Buffer, Pending
from schemas.messages import mark_backfilled

CENTRES = ("province", "nation")
AT_MS = 1_700_000_000_000


class Model:
    """What the buffer must hold for one centre: rows live, rows in gaps, rows that were tried live."""

    def __init__(self) -> None:
        self.live: list[int] = []
        self.gap: list[int] = []
        self.tried: set[int] = set()
        self.acked: set[int] = set()
        self.offered: list[int] = []
        self.sent: dict[int, bytes] = {}


class Rig:
    """A buffer, its models, and the means to kill the process that has it open."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lives = folder, 0
        self.models = {centre: Model() for centre in CENTRES}
        self.values: dict[int, bytes] = {}
        self.waiting: list[int] = []
        self.gone: set[int] = set()
        self.buffer = self.open(folder / "0.sqlite")

    def open(self, path: Path) -> Buffer:
        buffer = Buffer(path, synchronous="OFF")
        buffer.boot(AT_MS)
        for centre in CENTRES:
            buffer.queued(centre)
        return buffer

    def put(self, _: str, count: int) -> None:
        for _ in range(count):
            sequence = self.buffer.next_sequence()
            self.values[sequence] = b"NL\1\1\1\0" + sequence.to_bytes(8)
            self.buffer.put("e", self.at_ms(), sequence, self.values[sequence])
            self.waiting.append(sequence)

    def at_ms(self) -> int:
        """Show a clock that moves a millisecond per row."""
        return AT_MS + len(self.values)

    def flush(self, *_: object) -> None:
        self.buffer.flush()
        for model in self.models.values():
            model.live += self.waiting
        self.waiting.clear()

    def try_live(self, centre: str, count: int) -> None:
        model = self.models[centre]
        rows = self.buffer.live(centre, count)
        assert [row.sequence for row in rows] == model.live[:count]
        if rows:
            self.buffer.try_live(centre, rows[-1].sequence)
            model.tried |= {row.sequence for row in rows}
            self.send(centre, rows)
            model.offered = [row.sequence for row in rows]

    def ack(self, centre: str, count: int) -> None:
        """Acknowledge a part of what was offered last; a gap made meanwhile makes it nothing."""
        model = self.models[centre]
        if model.offered:
            last = model.offered[min(count, len(model.offered)) - 1]
            self.buffer.ack_live(centre, last)
            model.acked |= {sequence for sequence in model.live if sequence <= last}
            model.live = [sequence for sequence in model.live if sequence > last]

    def make_gap(self, centre: str, _: int) -> None:
        model = self.models[centre]
        assert self.buffer.make_gap(centre) == len(model.live)
        model.gap += model.live
        model.live = []

    def age_gap(self, centre: str, count: int) -> None:
        """Rows that were put just now stay live."""
        model = self.models[centre]
        before_ms = self.at_ms() - count
        late = [row for row in model.live if AT_MS + list(self.values).index(row) + 1 < before_ms]
        assert self.buffer.make_gap(centre, before_ms) == len(late)
        model.gap += late
        model.live = [row for row in model.live if row not in late]

    def backfill(self, centre: str, count: int) -> None:
        model = self.models[centre]
        rows = self.buffer.backfill(centre, count)
        assert [row.sequence for row in rows] == model.gap[:count]
        self.send(centre, rows)
        for row in rows:
            plain = self.values[row.sequence]
            assert row.value == (plain if row.sequence in model.tried else mark_backfilled(plain))

    def send_backfill(self, centre: str, count: int) -> None:
        model = self.models[centre]
        if rows := self.buffer.backfill(centre, count):
            self.buffer.ack_backfill(centre, rows[-1].sequence)
            model.acked |= set(model.gap[:count])
            model.gap = model.gap[count:]

    def send(self, centre: str, rows: list[Pending]) -> None:
        """Whatever is sent twice is the same bytes twice."""
        for row in rows:
            assert self.models[centre].sent.setdefault(row.sequence, row.value) == row.value

    def crash(self, *_: object) -> None:
        """Take the files as a kill -9 leaves them; what was not flushed is gone."""
        self.lives += 1
        path = self.folder / f"{self.lives}.sqlite"
        for end in ("", "-wal"):
            shutil.copy(f"{self.buffer.path}{end}", f"{path}{end}")
        self.buffer._file.close()
        self.waiting.clear()
        for model in self.models.values():
            model.offered = []
        self.buffer = self.open(path)

    def trim(self, _: str, count: int) -> None:
        """Everything is old enough on the sixteenth day; only what all have may go."""
        missed = {s for model in self.models.values() for s in (*model.live, *model.gap)}
        before = self.held()
        self.buffer.trim(AT_MS + 16 * DAY_MS)
        after = self.held()
        assert missed <= after
        head = min(missed, default=2**63 - 1)
        assert before - after == {sequence for sequence in before if sequence < head}

    def thin(self, _: str, count: int) -> None:
        """Let some rows shrink and others go; none that any centre may have got."""
        rows = self.buffer.untried(0, count)
        changed = [replace(row, value=b"NL\1\1\1\0" if row.sequence % 2 else b"") for row in rows]
        self.buffer.thin(changed, "dropped", str(count), AT_MS)
        assert self.buffer.state("dropped") == (str(count), AT_MS)
        for row in changed:
            assert any(row.sequence in (*model.live, *model.gap) for model in self.models.values())
            self.gone |= set() if row.value else {row.sequence}
            self.values[row.sequence] = row.value
        for model in self.models.values():
            model.live = [sequence for sequence in model.live if sequence not in self.gone]
            model.gap = [sequence for sequence in model.gap if sequence not in self.gone]
            model.offered = [sequence for sequence in model.offered if sequence not in self.gone]

    def held(self) -> set[int]:
        return {sequence for (sequence,) in self.buffer._file.execute("SELECT sequence FROM reading")}

    def check(self) -> None:
        for centre, model in self.models.items():
            assert self.buffer.queued(centre) == (len(model.live), len(model.gap))


OPERATIONS = (
    "put", "put", "flush", "flush", "try_live", "try_live", "ack", "make_gap", "age_gap", "backfill", "send_backfill",
    "crash", "trim", "thin",
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(CENTRES), st.integers(1, 5)),
    min_size=20,
    max_size=60,
)


@contextmanager
def rig() -> Iterator[Rig]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "acquisition.drivers.keeping.centre.BATCH_ROWS", 5
        )  # as many as are ever sent at once here
        rig = Rig(Path(folder))
        try:
            yield rig
        finally:
            rig.buffer._file.close()


@settings(deadline=None)  # it syncs no disk, but copies files
@given(STEPS)
def test_buffer_any_interleaving_loses_nothing_and_repeats_byte_equal(
    steps: list[tuple[str, str, int]],
) -> None:
    """Nothing flushed is lost, none acknowledged unasked, repetitions are byte-equal, only the untried is marked."""
    with rig() as state:
        for operation, centre, count in steps:
            getattr(state, operation)(centre, count)
            state.check()
        state.flush()
        for centre, model in state.models.items():
            held = [row.sequence for row in state.buffer.backfill(centre, 10**6)]
            held += [row.sequence for row in state.buffer.live(centre, 10**6)]
            assert held == model.gap + model.live
            assert not set(held) & model.acked


@settings(deadline=None)  # it syncs no disk, but copies files
@given(STEPS)
def test_buffer_any_history_delivers_to_both_centres(steps: list[tuple[str, str, int]]) -> None:
    """After any history each centre can be given everything that was ever flushed, independently of the other."""
    with rig() as state:
        flushed: set[int] = set()
        for operation, centre, count in steps:
            waiting = list(state.waiting)
            getattr(state, operation)(centre, count)
            flushed |= set(waiting) if operation == "flush" else set()
        for centre, model in state.models.items():
            while state.buffer.queued(centre)[1]:
                state.backfill(centre, 3)
                state.send_backfill(centre, 3)
            while state.buffer.queued(centre)[0]:
                state.try_live(centre, 3)
                state.ack(centre, 3)
            assert model.acked | state.gone >= flushed
            state.trim(centre, 0)
