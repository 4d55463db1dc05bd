"""Point 3: the way up is cut for fifteen days, the collector killed ten times meanwhile; two centres."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import edge
import rig

from nengliu.bus import Log
from nengliu.bus.open import open_log
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.settings import Settings
from schemas.messages import MISSING, Frame, SchemaNotice, decode
from schemas.topics import RAW

DAYS = 15
KILLS = 10
PART = ("grid", "gas", "water")
"""Points of the second centre."""
CENTRES = """
[[centres]]
name = "province"

[[centres]]
name = "nation"
home = "{home}"
points = {points}
"""
BACKFILL_PER_S = 2
Readings = dict[tuple[str, int], int]


@dataclass
class Arrived:
    """What one centre has: readings by (point, stamp), how often each came, and what stood between live frames."""

    readings: Readings = field(default_factory=dict)
    times: Counter[tuple[str, int]] = field(default_factory=Counter)
    backfilled: int = 0
    longest: int = 0
    """Backfilled frames between two live ones, at most, after the way was mended."""


def prove(report: rig.Report, seed: int) -> None:
    """Cut, kill, mend, and compare what each centre has with the buffer and with the meters."""
    rng = random.Random(seed)
    with rig.Scratch(prefix="nengliu-nation-") as nation, edge.edge("", seed, heartbeat_s=900) as one:
        second = Settings(home=nation, partitions=rig.PARTITIONS)
        _two_centres(one, nation)
        mended_ms = _story(one, second, report, rng)
        one.installation.flow()
        for name, settings, points in (
            ("province", one.installation.settings, None),
            ("nation", second, PART),
        ):
            with open_log(settings) as log:
                _judge(one, name, arrived(log, mended_ms), points, report)
        _totals(one, report, rng)


def _two_centres(one: edge.Edge, nation: Path) -> None:
    file = one.installation.home / "collector.toml"
    names = ", ".join(f'"{point}"' for point in PART)
    told = file.read_text(encoding="utf-8") + CENTRES.format(home=nation, points=f"[{names}]")
    file.write_text(
        f"{told}\n[buffer]\nkeep_days = 60\nbackfill_per_s = {BACKFILL_PER_S}\n", encoding="utf-8"
    )


def _story(one: edge.Edge, second: Settings, report: rig.Report, rng: random.Random) -> int:
    """An hour of health, fifteen days without a way up and with kills, then hours with one; when it was mended."""
    start_ms = one.plants.start_ms
    one.start()
    one.run_to(start_ms + HOUR_MS + QUARTER_MS // 2)
    from_ms = one.plants.time()
    with _locked(one.installation.settings), _locked(second):
        for number, at_ms in enumerate(sorted(rng.randrange(DAYS * DAY_MS) for _ in range(KILLS)), 1):
            one.run_to(from_ms + at_ms)
            one.installation.kill("collector")
            one.start()
            report.note(f"kill {number:2d} on day {at_ms / DAY_MS:5.2f}: {one.status()}")
        one.run_to(from_ms + DAYS * DAY_MS)
    mended_ms = one.plants.time()
    one.run_slowly(mended_ms + 20 * 60_000)
    one.run_to(mended_ms + 6 * HOUR_MS)
    one.stop()
    return mended_ms


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Keep everybody else from writing into a log's file."""
    intruder = sqlite3.connect(settings.log_path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        intruder.execute("ROLLBACK")
        intruder.close()


def arrived(log: Log, mended_ms: int) -> Arrived:
    """Read what a centre's log holds, in its order."""
    found, columns, between = Arrived(), dict[int, list[str]](), 0
    for partition in range(log.partitions(RAW)):
        for record in edge.records(log, partition):
            message = decode(record.value)
            if isinstance(message, SchemaNotice):
                columns[message.value.schema] = [column.point for column in message.value.columns]
            elif isinstance(message, Frame):
                _take(found, message, columns[message.schema])
                found.backfilled += message.backfilled
                between += message.backfilled
                if not message.backfilled and int(message.read_at_ms[0]) > mended_ms:
                    found.longest, between = max(found.longest, between), 0
    return found


def _take(found: Arrived, frame: Frame, points: list[str]) -> None:
    for at, row in zip(frame.read_at_ms.tolist(), frame.values.tolist(), strict=True):
        for point, value in zip(points, row, strict=True):
            if value != MISSING:
                found.readings[point, at] = value
                found.times[point, at] += 1


def _judge(
    one: edge.Edge, name: str, has: Arrived, points: tuple[str, ...] | None, report: rig.Report
) -> None:
    """Hold a centre against the buffer."""
    wanted = {
        key: value for key, value in edge.kept(one).readings.items() if points is None or key[0] in points
    }
    report.point(
        f"3 {name}: everything arrives, and nothing else",
        f"{len(has.readings)} readings of {len(wanted)} that were read, {has.backfilled} frames as backfill",
        holds=has.readings == wanted and len(wanted) > DAYS * 96,
    )
    again = sum(times - 1 for times in has.times.values())
    report.point(
        f"3 {name}: sent again are only messages under way at a kill or a cut",
        f"{again} repetitions, equal in every byte",
        holds=again <= (KILLS + 2) * 500,
    )
    meters = sum(len(line.meters) for line in one.plants.fleet.lines)
    report.point(
        f"3 {name}: live readings are not delayed behind the backfill",
        f"at most {has.longest} backfilled frames between two live ones",
        holds=0 < has.longest <= BACKFILL_PER_S * one.interval_s + meters < has.backfilled / 2,
    )


def _totals(one: edge.Edge, report: rig.Report, rng: random.Random) -> None:
    """Compare the first centre's quarter-hours with the truth of the meters."""
    stored, windows = edge.stored(one.installation), edge.windows(one.installation)
    done, wrong = edge.wrong_spans(one.plants, stored, windows, rng, 40)
    differ = edge.wrong_registers(one.plants, stored)
    report.point(
        "3 every total over a span whose edges were read is the truth of the meters",
        f"{done - len(wrong)} of {done} spans, {len(differ)} registers unlike the meter",
        holds=not wrong and not differ,
    )
    due, strange = edge.unaccounted(one, edge.kept(one))
    report.point(
        "3 every due reading is there, or missing with its reason",
        f"{due} due, {len(strange)} unaccounted {strange[:2] or ''}",
        holds=not strange,
    )
