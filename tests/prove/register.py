"""Point 4: the same energy as a register, with everything that happens to registers and their readings."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import kills
import rig
import steel

from nengliu.storage import connect
from schemas.messages import RowsFrame, decode
from schemas.topics import RAW

MODULUS, FIRST, NEW_FIRST = 100_000_000, 95_000_000, 1_234  # [0.01 kWh]
CHANGE = datetime(2018, 7, 3, 10, 7, tzinfo=steel.CHINA)
AS_OF = datetime(2018, 6, 15, tzinfo=steel.CHINA)
LATE, DOUBLE, LATEST_H = 0.05, 0.02, 72
MAP = """
[enterprise]
code = "91320000MA1EXAMPL3"
name = "示例厂"
region = "320000"

[time]
column = "read_at"
stamp = "instant"
interval = "15min"
clock = "free"
received = {{ column = "received_at" }}

[[point]]
column = "register"
id = "r-main"
kind = "counter"
item = "electricity"
unit = "kWh"
decimals = 2
[[point.meter]]
from = 2017-01-01T00:00:00+08:00
modulus = 1000000
last = "{last}"
[[point.meter]]
from = {change}
modulus = 1000000
first = "12.34"
"""


@dataclass(frozen=True)
class Reading:
    """One row of the made-up register file."""

    at: datetime
    steps: int
    received: datetime


def registers(amounts: dict[datetime, Decimal]) -> tuple[list[tuple[datetime, int]], int]:
    """Register at every quarter-hour, and the old meter's last register at the change."""
    total, base, last = FIRST, 0, 0
    found = [(min(amounts), total % MODULUS)]
    for start, value in sorted(amounts.items()):
        amount, end = int(value * 100), start + timedelta(minutes=15)
        if start < CHANGE <= end:
            old_part = amount * 7 // 15
            last = (total + old_part) % MODULUS
            total, base = NEW_FIRST, 1
            amount -= old_part
        total += amount
        found.append((end, total % MODULUS if not base else total))
    return found, last


def disorder(found: list[tuple[datetime, int]], rng: random.Random) -> list[Reading]:
    """Late, double and shuffled rows; the last 30 hours before the as-of day all come after it."""
    rows = []
    for at, steps in found:
        delay = timedelta(seconds=20)
        if AS_OF - timedelta(hours=30) <= at < AS_OF:
            delay = AS_OF + timedelta(hours=rng.uniform(1, 40)) - at
        elif rng.random() < LATE:
            delay = timedelta(hours=rng.uniform(0.5, LATEST_H))
        rows.append(Reading(at, steps, at + delay))
        if rng.random() < DOUBLE:
            rows.append(Reading(at, steps, at + delay + timedelta(hours=rng.uniform(0, 12))))
    rng.shuffle(rows)
    return rows


def write(folder: Path, rows: list[Reading], last: int) -> tuple[Path, Path]:
    """The file and its map."""
    file, plan = folder / "register.csv", folder / "register.toml"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["read_at", "register", "received_at"])
        writer.writerows(
            (r.at.isoformat(), f"{Decimal(r.steps).scaleb(-2)}", r.received.isoformat()) for r in rows
        )
    plan.write_text(MAP.format(last=Decimal(last).scaleb(-2), change=CHANGE.isoformat()))
    return file, plan


def prove(data: Path, report: rig.Report, seed: int) -> None:
    """Compare sums in order, out of order, and as of an earlier day."""
    rng = random.Random(seed)
    amounts = steel.truth(data)
    months = steel.months_of(amounts)
    found, last = registers(amounts)
    rows = disorder(found, rng)
    falls = sum(b < a for (_, a), (_, b) in pairwise(found))
    late = sum(r.received - r.at > timedelta(minutes=1) for r in rows)
    report.note(
        f"{len(rows)} rows, {falls} falls of the register (rollover, change), {late} late rows; seed {seed}"
    )
    with rig.Installation() as installation:
        file, plan = write(installation.home, rows, last)
        done = installation.import_file(file, plan)
        enterprise = str(done["enterprise"])
        messages = recut(kills.messages_of(installation), rng)
    for name, order in (("in order of receipt", messages), ("in random order", shuffled(messages, rng))):
        with rig.Installation() as installation:
            log = installation.log()
            log.append(RAW, order)
            log.close()
            installation.flow()
            report.note(f"{name}: {len(order)} messages of random size")
            _sums(installation, enterprise, months, report, name)
            if name == "in order of receipt":
                _as_of(installation, enterprise, rows, last, report)


def recut(messages: list[tuple[str, bytes]], rng: random.Random) -> list[tuple[str, bytes]]:
    """Cut the frames anew, each into pieces of a random size."""
    found = []
    for key, value in messages:
        message = decode(value)
        cuts = kills.cut(message, rng.randint(1, 60)) if isinstance(message, RowsFrame) else [value]
        found += [(key, part) for part in cuts]
    return found


def shuffled(messages: list[tuple[str, bytes]], rng: random.Random) -> list[tuple[str, bytes]]:
    """Frames in any order, behind the notices that declare them."""
    frames = [m for m in messages if isinstance(decode(m[1]), RowsFrame)]
    notices = [m for m in messages if not isinstance(decode(m[1]), RowsFrame)]
    rng.shuffle(frames)
    return notices + frames


def _sums(
    installation: rig.Installation, enterprise: str, months: dict[str, Decimal], report: rig.Report, name: str
) -> None:
    stored = {
        at.astimezone(steel.CHINA).strftime("%Y-%m"): steel.exact(row["used"])
        for at, row in steel.windows(installation, "month", enterprise).items()
    }
    right = sum(stored.get(month) == value for month, value in months.items())
    report.point(
        f"4 months of the register, {name}",
        f"{right} of 12, year {sum(stored.values())}",
        holds=stored == months,
    )
    client = connect(installation.settings)
    query = "SELECT sum(received), sum(valid), sum(duplicate), sum(quarantined) FROM {}.intake FINAL"
    received, valid, duplicate, held = client.query(query.format(installation.settings.database)).result_rows[
        0
    ]
    client.close()
    holds = received == valid + duplicate + held and valid == len(months_points(months)) and held == 0
    report.point(
        f"4 tally, {name}", f"{received} = {valid} valid + {duplicate} duplicate + {held} held", holds=holds
    )


def months_points(_months: dict[str, Decimal]) -> range:
    """Distinct readings: every quarter-hour of the year and its end."""
    return range(35_041)


def _as_of(
    installation: rig.Installation, enterprise: str, rows: list[Reading], last: int, report: rig.Report
) -> None:
    """What was known at the start of the as-of day: the register's difference over what had come by then."""
    known = sorted((r.at, r.steps) for r in rows if r.received < AS_OF)
    steps = known[-1][1] - known[0][1]
    expected = Decimal(steps + MODULUS if steps < 0 else steps).scaleb(-2)
    span = {"start": steel.SPAN["start"], "end": AS_OF.isoformat()}
    moment = (AS_OF - timedelta(seconds=1)).isoformat()
    for level in ("15min", "day"):
        then = _total(installation.ask("totals", as_of=moment, level=level, enterprise=enterprise, **span))
        now = _total(installation.ask("totals", level=level, enterprise=enterprise, **span))
        figure = f"{then} then, {now} now, {known[-1][0]:%m-%d %H:%M} the last reading known"
        report.point(f"4 as of {AS_OF:%Y-%m-%d} ({level})", figure, holds=then == expected and now > then)


def _total(rows: list[dict[str, object]]) -> Decimal:
    return sum((Decimal(int(str(r["used"]))).scaleb(-int(str(r["decimals"]))) for r in rows), Decimal())
