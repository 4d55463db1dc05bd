"""Point 3: a collector of 64 meters falls silent, one meter freezes among its neighbours, a whole plant stops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import rig

from nengliu.bus.open import publish_tick
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from schemas.messages import (
    EnterpriseNotice,
    Message,
    PointNotice,
    RowsFrame,
    SchemaNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    encode,
)
from schemas.topics import RAW

METERS, PER_LINE, QUARTER_S, DAYS = 64, 16, 900, 3
START_S = 1_772_294_400
"""2026-03-01 00:00 in China."""
SILENT, BACK, FROZEN, STOPPED = (
    "91990000MA0PRV64A1",
    "91990000MA0PRV64B2",
    "91990000MA0PRV64C3",
    "91990000MA0PRV64D4",
)
FROM, UNTIL = 130, 162
"""The quarter-hours in which it happens: eight hours of the second day."""
Ints = npt.NDArray[np.int64]


def prove(report: rig.Report, seed: int) -> None:
    """Tell four plants into the log, let the flow take them in, and count the incidents."""
    with rig.Installation() as installation:
        log = installation.log()
        for number, code in enumerate((SILENT, BACK, FROZEN, STOPPED)):
            log.append(RAW, [(code, encode(message)) for message in plant(code, seed + number)])
        publish_tick(log, START_S + DAYS * 96 * QUARTER_S)
        log.close()
        installation.flow()
        for code, name in ((SILENT, "silent for good"), (BACK, "silent for 8 h, then back")):
            _one(
                report,
                f"3 a collector with {METERS} meters, {name}",
                found(installation, code),
                "link",
                METERS,
            )
        _one(report, "3 one meter freezes while 63 run", found(installation, FROZEN), "meter", 1)
        stopped = found(installation, STOPPED)
        report.point("3 the whole plant stops: incidents", len(stopped), holds=not stopped)


def found(installation: rig.Installation, code: str) -> list[dict[str, object]]:
    """Incidents of an enterprise as `nengliu query incidents` gives them."""
    return installation.ask("incidents", enterprise=code)


def _one(report: rig.Report, name: str, rows: list[dict[str, object]], kind: str, members: int) -> None:
    said = [f"{row['class']} {row['cause']} of {len(row['members'])} from {row['opened_at']}" for row in rows]  # type: ignore[arg-type]
    right = len(rows) == 1 and rows[0]["class"] == kind and len(rows[0]["members"]) == members  # type: ignore[arg-type]
    report.point(name, f"{len(rows)} incidents: {'; '.join(said) or 'none'}", holds=right)


def plant(code: str, seed: int) -> Iterator[Message]:
    """Messages of one plant: its catalogue, then a frame of rows per quarter-hour."""
    points = [f"m{number:02d}" for number in range(METERS)]
    yield EnterpriseNotice(
        Enterprise(code, f"证明 {code[-2:]}", region="990100", industry="3484", simulated=True)
    )
    for name in points:
        meter = Meter(START_S * 1000, "kWh", 2, 100, 10**8, first=0)
        common = {"place": f"main/{name}", "metering_level": 2, "valid_from_ms": START_S * 1000}
        yield PointNotice(
            Point(
                code, name, name, Kind.COUNTER, "electricity", "kWh", 2, QUARTER_S, meters=(meter,), **common
            )  # type: ignore[arg-type]
        )
    yield SchemaNotice(Schema(code, 1, tuple(Column(name, "kWh", 2) for name in points)))
    lines = [points[at : at + PER_LINE] for at in range(0, METERS, PER_LINE)]
    wired = [
        WiredLine(f"line-{n}", tuple(WiredMeter(name, (name,)) for name in line))
        for n, line in enumerate(lines)
    ]
    yield WiringNotice(code, "gw-64", tuple(wired))
    registers = _registers(code, np.random.default_rng(seed))
    for quarter, row in enumerate(registers):
        if code in (SILENT, BACK) and quarter >= FROM and (quarter < UNTIL or code == SILENT):
            continue
        yield _frame(code, quarter, row)


def _registers(code: str, rng: np.random.Generator) -> Ints:
    """Registers at each quarter-hour's edge: int64 (quarters, meters), in steps."""
    quarters = np.arange(DAYS * 96)[:, None]
    day = 1.2 + np.sin(2 * np.pi * (quarters % 96 - 30) / 96)
    steps = rng.poisson(day * rng.uniform(15, 60, METERS))
    if code == FROZEN:
        steps[FROM:UNTIL, 7] = 0
    if code == STOPPED:
        steps[FROM:UNTIL] = 0
    return np.cumsum(steps, axis=0)


def _frame(code: str, quarter: int, row: Ints) -> RowsFrame:
    at_s = START_S + quarter * QUARTER_S
    n = len(row)
    return RowsFrame(
        code,
        1,
        "gw-64",
        START_S << 32 | quarter,
        column=np.arange(n, dtype=np.uint32),
        read_at_ms=np.full(n, at_s * 1000),
        values=row.astype(np.int64),
        received_at_s=np.full(n, at_s + 7),
        quality=np.zeros(n, np.uint8),
        reason=np.zeros(n, np.uint16),
        origin=0,  # type: ignore[arg-type]
    )
