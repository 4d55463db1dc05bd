"""Point 2: two simulated weeks through Modbus, over both buses, against the truth log of the plant."""

from __future__ import annotations

import random
import time
from decimal import Decimal

import edge
import rig

from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.site import first_site
from nengliu.domain.quality import Reason
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS

DAYS = 14
SPANS = 40
"""Random spans compared for each counter, beside the whole."""


def faults(start_ms: int) -> list[Fault]:
    """What goes wrong in these weeks: every fault that is no lie of the register's end, for hours each."""

    def fault(kind: FaultKind, line: str, meter: str, day: float, hours: float, value: int = 0) -> Fault:
        from_ms = start_ms + int(day * DAY_MS)
        return Fault(kind, line, meter, from_ms, from_ms + int(hours * HOUR_MS), value)

    return [
        fault(FaultKind.SILENT, "electricity", "press", 1.3, 7),
        fault(FaultKind.SILENT, "media", "", 2.4, 5),
        fault(FaultKind.LATE, "media", "gas", 3.1, 9, 20),
        fault(FaultKind.LATE, "media", "heat", 3.6, 2, 120),
        fault(FaultKind.DROP, "electricity", "", 4.2, 8, 3),
        fault(FaultKind.OTHER, "electricity", "paint", 5.3, 3),
        fault(FaultKind.STALE, "media", "water", 6.2, 4),
        fault(FaultKind.DAMAGED, "electricity", "grid", 7.4, 2),
        fault(FaultKind.CUT, "electricity", "heat-treatment", 8.1, 3),
        fault(FaultKind.REFUSE, "media", "gas", 9.5, 2),
        fault(FaultKind.STUCK, "media", "water", 10.2, 6),
        fault(FaultKind.JUMP, "electricity", "press", 11.3, 2, 5000),
        fault(FaultKind.CLOCK, "media", "heat", 12.1, 5, 900),
    ]


def prove(buses: dict[str, str], report: rig.Report, seed: int) -> None:
    """Run the two weeks over each bus: its name and address."""
    for name, address in buses.items():
        began = time.monotonic()
        with edge.edge(address, seed) as one:
            one.plants.fleet.add(*faults(one.plants.start_ms))
            one.start()
            one.run_to(one.plants.start_ms + DAYS * DAY_MS + QUARTER_MS // 2)  # the last edge is read too
            one.stop()
            collected_s = time.monotonic() - began
            one.installation.flow()
            judge(one, name, report, random.Random(seed))
            report.note(f"{name}: two weeks in {collected_s:.0f} s of real time, seed {seed}")


def judge(one: edge.Edge, bus: str, report: rig.Report, rng: random.Random) -> None:
    """Compare what is stored with the truth."""
    what, stored, windows = edge.kept(one), edge.stored(one.installation), edge.windows(one.installation)
    lost = len(what.readings.keys() - stored.keys())
    figure = f"{len(stored)} stored of {len(what.readings)} in the buffer, {lost} lost"
    report.point(f"2 {bus}: every reading arrives, none doubled", figure, holds=stored == what.readings)
    differ = edge.wrong_registers(one.plants, stored)
    report.point(
        f"2 {bus}: each is what the meter showed",
        f"{len(differ)} differ",
        holds=not differ and len(stored) > 9000,
    )
    done, wrong = edge.wrong_spans(one.plants, stored, windows, rng, SPANS)
    report.point(
        f"2 {bus}: sums equal the truth log to the last digit",
        f"{done - len(wrong)} of {done} spans of {len(edge.counters())} counters {wrong[:2] or ''}",
        holds=not wrong,
    )
    days(one, bus, report)
    due, strange = edge.unaccounted(one, what)
    reasons = ", ".join(f"{Reason(code).name} {count}" for code, count in sorted(what.reasons.items()))
    report.point(
        f"2 {bus}: every due reading is there or missing with its reason",
        f"{due} due, {len(what.readings)} read, missing: {reasons}; {len(strange)} unaccounted {strange[:2] or ''}",
        holds=not strange and len(what.reasons) >= 5,
    )


def days(one: edge.Edge, bus: str, report: rig.Report) -> None:
    """Compare days by the product's own question with the truth of every day whose edges were read."""
    start_ms = one.plants.start_ms
    told = {"level": "day", "enterprise": first_site().enterprise.enterprise}
    first, last = (
        time.strftime("%Y-%m-%d", time.gmtime(ms // 1000 + 8 * 3600))
        for ms in (start_ms, start_ms + DAYS * DAY_MS)
    )
    rows = one.installation.ask("windows", **told, start=first, end=last)
    decimals = {channel.point: channel.decimals for channel in first_site().channels}
    right = 0
    for row in rows:
        if row["point"] in edge.counters():
            at_ms = edge.instant_ms(str(row["period_start"]))
            used = int(Decimal(str(row["used"])).scaleb(decimals[str(row["point"])]))
            right += used == edge.true_use(one.plants, str(row["point"]), at_ms, at_ms + DAY_MS)
    expected = DAYS * len(edge.counters())
    report.point(
        f"2 {bus}: `nengliu query windows` by day equals the truth",
        f"{right} of {expected}",
        holds=right == expected,
    )
