"""What `nengliu bench edge` measures of a collector's buffer: rows in and out, and how large 15 days are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.keeping.centre import BATCH_ROWS
from acquisition.drivers.keeping.frames import FrameFile
from acquisition.drivers.upward.view import Doc, View
from nengliu.cli.bench_report import Fact
from nengliu.domain.points import Column
from schemas.messages import Frame, encode

IN_GOAL, OUT_GOAL, SIZE_GOAL, FRAMES_GOAL = 100_000, 200_000, 80.0, 160.0
"""Rows per second in and out of one centre; MiB of 15 days without and with raw frames.  Source: ours."""
METERS, POINTS, SLOTS = 64, 20, 15 * 96
START_MS = 1_767_196_800_000
FLUSH_ROWS = 500
"""Rows of one transaction of the measured burst, as after a quarter-hour at which several lines are due."""
FRAME_BYTES, FRAMES = 48, 14
"""Bytes of a raw answer, and how many a slot of 20 points takes with DL/T 645: eight blocks and six single items."""
ENTERPRISE = "91320000MA1BENCHX1"
CENTRES = ("province", "nation")


def buffer_figures(rounds: int = 3) -> list[Fact]:
    """Measure the buffer on the disk of this machine, synced as a collector syncs."""
    rows = list(_rows())
    speeds = [_speeds(rows) for _ in range(rounds)]
    size, with_frames = _sizes(rows)
    some = f"one centre of two, {BATCH_ROWS} a batch, acknowledged"
    return [
        Fact(f"Buffer: rows in, synced every {FLUSH_ROWS}", max(one for one, _ in speeds), "rows/s", IN_GOAL),
        Fact(f"Buffer: rows out, {some}", max(other for _, other in speeds), "rows/s", OUT_GOAL),
        Fact("Buffer: rows laid down to half of their points", _projected(rows), "rows/s"),
        Fact("15 days of 64 meters, 20 points, 15 min, with quality", size, "MiB", SIZE_GOAL, most=True),
        Fact("the same with raw frames", with_frames, "MiB", FRAMES_GOAL, most=True),
    ]


def _rows() -> Iterator[tuple[int, int, bytes]]:
    """Give slot, number and message of every reading of 15 days: registers that rise and gauges that waver."""
    rng = np.random.default_rng(20170930)
    registers = rng.integers(10**6, 10**9, (METERS, POINTS // 2))
    base = rng.integers(10**2, 10**5, (METERS, POINTS - POINTS // 2))
    quality = (rng.random((METERS, POINTS)) < 0.02).astype(np.uint8) * 5
    for slot in range(SLOTS):
        registers += rng.integers(0, 5000, registers.shape)
        gauges = base + rng.integers(-50, 50, base.shape)
        for meter in range(METERS):
            number = slot * METERS + meter + 1
            cells = np.concatenate([registers[meter], gauges[meter]]).reshape(1, POINTS)
            at_ms = START_MS + slot * 900_000
            marks = quality[meter].reshape(1, POINTS)
            times = np.array([at_ms], np.int64)
            frame = Frame(
                ENTERPRISE, meter + 1, "collector-1", number, at_ms // 1000 + 1, times, cells, marks
            )
            yield slot, number, encode(frame)


def _speeds(rows: list[tuple[int, int, bytes]]) -> tuple[float, float]:
    with TemporaryDirectory() as folder:
        buffer = Buffer(Path(folder) / "buffer.sqlite")
        buffer.boot(START_MS)
        for centre in CENTRES:
            buffer.queued(centre)
        began = time.perf_counter()
        _fill(buffer, rows)
        filled = time.perf_counter()
        while batch := buffer.live(CENTRES[0], BATCH_ROWS):
            buffer.try_live(CENTRES[0], batch[-1].sequence)
            buffer.ack_live(CENTRES[0], batch[-1].sequence)
        sent = time.perf_counter()
        buffer.close()
    return len(rows) / (filled - began), len(rows) / (sent - filled)


def _fill(buffer: Buffer, rows: list[tuple[int, int, bytes]]) -> None:
    for slot, number, value in rows:
        buffer.put(ENTERPRISE, START_MS + slot * 900_000, buffer.next_sequence(), value)
        if number % FLUSH_ROWS == 0:
            buffer.flush()
    buffer.flush()


def _projected(rows: list[tuple[int, int, bytes]]) -> float:
    """Lay rows down for a centre with a point list."""
    columns = tuple(Column(f"p{n}", "kWh", 2) for n in range(POINTS))
    view = View("nation", Doc(tuple(f"p{n}" for n in range(0, POINTS, 2)), ()), lambda _: columns)
    began = time.perf_counter()
    for _, _, value in rows[:20_000]:
        view.project(value)
    return 20_000 / (time.perf_counter() - began)


def _sizes(rows: list[tuple[int, int, bytes]]) -> tuple[float, float]:
    """Fill a buffer and a file of frames with 15 days, and give the size without and with the frames [MiB]."""
    rng = np.random.default_rng(645)
    with TemporaryDirectory() as folder:
        buffer = Buffer(Path(folder) / "buffer.sqlite", synchronous="OFF")
        buffer.boot(START_MS)
        _fill(buffer, rows)
        buffer.close()
        frames = FrameFile(Path(folder) / "buffer.frames", 15, 2**30)
        for slot, number, _ in rows:
            raw = rng.bytes(FRAME_BYTES * FRAMES)
            frames.put("rs485-1", f"m{number % METERS}", START_MS + slot * 900_000, raw)
            if number % FLUSH_ROWS == 0:
                frames.flush()
        frames.close()
        sizes = [(Path(folder) / name).stat().st_size / 2**20 for name in ("buffer.sqlite", "buffer.frames")]
    return sizes[0], sum(sizes)
