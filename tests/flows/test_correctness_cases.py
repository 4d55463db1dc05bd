"""The eight cases in which peers lose energy, through log, flow and store: 23 hours of 100 kWh are 2,300 kWh.

Every case is an enterprise of its own in one log; one run of the flow takes them all.  Readings stand at every
quarter-hour from midnight to 23:00 (docs/decisions/0012).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import make_frame, make_meter, make_point, make_schema

from flows import embedded
from nengliu.bus.open import open_log
from nengliu.domain.points import Enterprise, Meter, Point
from nengliu.domain.quality import Reason
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.settings import Settings
from nengliu.storage import ask, connect, disconnect, migrate
from nengliu.storage.client import dsn
from schemas.messages import EnterpriseNotice, Frame, PointNotice, SchemaNotice, encode, mark_backfilled
from schemas.topics import RAW

START_MS = 1_764_518_400_000
"""2025-12-01 00:00 in China."""
STEP, QUARTERS, PER_HOUR = 25, 92, 100
OUT = range(41, 53)
"""Quarter-hours of the outage: from 10:15 to 13:00 nothing is read, so the gap is from 10:00 to 13:15."""
SWAP = 43
"""The meter is exchanged in the middle of the quarter-hour before this one: at 10:37:30."""
SPIKE = 42
LEDGER = "91370000MA1LEDGER9"
"""One of a hundred that keeps its coal by hand, and has not written anything yet."""
METER = make_meter(decimals=0)


@dataclass
class Case:
    """A meter's day: what the register showed at each quarter-hour, and what was told beside it."""

    code: str
    meters: tuple[Meter, ...] = (METER,)
    registers: list[int] = field(default_factory=lambda: [5_000 + STEP * i for i in range(QUARTERS + 1)])
    silent: range = range(0)
    backfilled: bool = False
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def point(self) -> Point:
        """The meter's point."""
        fixed = {"enterprise": self.code, "interval_s": 900, "meters": self.meters}
        return make_point(**{**fixed, **self.given})

    def told(self) -> list[bytes]:
        """Notices that declare it."""
        return [
            encode(EnterpriseNotice(Enterprise(self.code, self.code, region="370100"))),
            encode(PointNotice(self.point)),
            encode(SchemaNotice(make_schema((("e-main", "kWh", 0),), enterprise=self.code))),
        ]

    def frames(self) -> list[bytes]:
        """Live frames first, what was kept during the outage after them."""
        live = [encode(self._frame(i)) for i in range(QUARTERS + 1) if i not in self.silent]
        kept = [mark_backfilled(encode(self._frame(i, after_h=4))) for i in self.silent if self.backfilled]
        return live + kept

    def in_one(self) -> bytes:
        """All of it in a single frame."""
        at = START_MS + QUARTER_MS * np.arange(QUARTERS + 1)
        values = np.array(self.registers)[:, None]
        received = int(at[-1]) // 1000 + 2
        frame = make_frame(values, enterprise=self.code, read_at_ms=at, received_at_s=received)
        return encode(frame)

    def _frame(self, i: int, after_h: int = 0) -> Frame:
        at = START_MS + i * QUARTER_MS
        return make_frame(
            ((self.registers[i],),),
            enterprise=self.code,
            sequence=i + 1,
            read_at_ms=np.array([at], np.int64),
            received_at_s=at // 1000 + 2 + after_h * 3600,
        )


def swapped(old_first: int = 5_000) -> list[int]:
    """Registers of a meter that stops half way through a quarter-hour, and of one that starts again at 0."""
    before = [old_first + STEP * i for i in range(SWAP)]
    return before + [STEP // 2 + 1 + STEP * i for i in range(QUARTERS + 1 - SWAP)]


SWAP_MS = START_MS + SWAP * QUARTER_MS - QUARTER_MS // 2
OLD = replace(METER, last=5_000 + STEP * (SWAP - 1) + STEP // 2)
NEW = make_meter(decimals=0, from_ms=SWAP_MS, first=0)
CASES = {
    "clean": Case("91370000MA1CLEAN01"),
    "outage": Case("91370000MA1OUTAGE2", silent=OUT),
    "backfilled": Case("91370000MA1BACKFL3", silent=OUT, backfilled=True),
    "limited": Case("91370000MA1LIMIT04", silent=OUT, given={"rated": 25_000}),
    "rollover": Case(
        "91370000MA1ROLLOV5",
        meters=(replace(METER, modulus=1_000_000),),
        registers=[(999_000 + STEP * i) % 1_000_000 for i in range(QUARTERS + 1)],
    ),
    "swap": Case("91370000MA1SWAPNT6", meters=(OLD, NEW), registers=swapped()),
    "swap untold": Case("91370000MA1SWAPUN7", registers=swapped()),
    "spike": Case(
        "91370000MA1SPIKE08",
        registers=[(5_000 + STEP * i) * (10 if i == SPIKE else 1) for i in range(QUARTERS + 1)],
    ),
}
HUNDRED = [Case(f"9137000HUNDRED{i:04d}", given={"name": str(i)}) for i in range(99)]


@pytest.fixture(scope="module")
def day(store_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation whose store holds the day of every case."""
    address = dsn(Settings(home=store_home))
    home = tmp_path_factory.mktemp("cases")
    settings = Settings(home=home, store=address, database="cases", partitions=2, epoch_s=1)
    client = connect(settings)
    migrate(client, settings.database)
    coal = make_point("coal", enterprise=LEDGER, item="raw_coal", unit="t", interval_s=86_400, name="台账")
    coal = replace(coal, meters=(make_meter(unit="t", decimals=2),))
    ledger = Case(LEDGER)
    messages = [(c.code, value) for c in [*CASES.values(), ledger, *HUNDRED] for value in c.told()]
    messages += [(LEDGER, encode(PointNotice(coal)))]
    messages += [(case.code, value) for case in CASES.values() for value in case.frames()]
    messages += [(case.code, case.in_one()) for case in [ledger, *HUNDRED]]
    with open_log(settings) as log:
        log.append(RAW, messages)
    embedded.run(settings, stop_at_end=True)
    yield settings
    client.command("DROP DATABASE cases", use_database=False)
    disconnect(client)


def hours(settings: Settings, case: Case) -> list[dict[str, Any]]:
    """The stored hours of a case."""
    span = {"start": START_MS, "end": START_MS + DAY_MS}
    client = connect(settings)
    found = ask(client, "windows", SYSTEM, level="hour", enterprise=case.code, point="e-main", **span)
    disconnect(client)
    rows: list[dict[str, Any]] = found.to_pylist()
    return [row for row in rows if row["used"] or row["period_start"].hour < 23]


def used(rows: list[dict[str, Any]]) -> list[float]:
    """Energy by hour [kWh]."""
    return [row["used"] for row in rows]


EVEN = [PER_HOUR] * 23


@pytest.mark.parametrize("name", ["clean", "backfilled", "rollover", "swap"])
def test_what_is_known_is_there_hour_by_hour_and_none_of_it_estimated(day: Settings, name: str) -> None:
    """Clean; three hours away and sent later, live data first; past 1,000,000; an exchange with both registers."""
    rows = hours(day, CASES[name])

    assert used(rows) == EVEN
    exchanged = (
        12.0 if name == "swap" else 0
    )  # what lies between an edge and the exchange is read, not spread
    assert sum(row["estimated"] for row in rows) <= exchanged
    assert sum(row["received"] for row in rows) == QUARTERS


@pytest.mark.parametrize("name", ["outage", "limited"])
def test_outage_without_backfill_keeps_the_energy_and_marks_the_hours(day: Settings, name: str) -> None:
    """The register lost nothing: 2,300 kWh, evenly spread over the gap and marked there; no limit cuts it."""
    rows = hours(day, CASES[name])

    assert used(rows) == EVEN
    assert [row["estimated"] for row in rows] == [0.0] * 10 + [100.0, 100.0, 100.0, 25.0] + [0.0] * 9
    assert [row["received"] for row in rows][10:14] == [1, 0, 0, 3]


def test_backfilled_hours_are_marked_as_late(day: Settings) -> None:
    """What came after the break says so."""
    rows = hours(day, CASES["backfilled"])

    assert [row["late"] for row in rows] == [0] * 10 + [3, 4, 4, 1] + [0] * 9


def test_exchange_that_nobody_told_is_seen_and_mended_by_the_notice(day: Settings) -> None:
    """Until then one hour is wrong and says why; with the notice all hours are right."""
    case = CASES["swap untold"]
    rows = hours(day, case)
    assert used(rows)[:10] + used(rows)[11:] == EVEN[1:]
    assert used(rows)[10] < 0
    assert rows[10]["reason"] == Reason.REGISTER_BACKWARD

    told = replace(case.point, meters=(OLD, NEW))
    with open_log(day) as log:
        log.append(RAW, [(case.code, encode(PointNotice(told)))])
    embedded.run(day, stop_at_end=True)
    assert used(hours(day, case)) == EVEN


def test_spike_moves_no_energy_out_of_its_hour(day: Settings) -> None:
    """One register ten times too high: up and down again within the hour, which says that it ran backward."""
    rows = hours(day, CASES["spike"])

    assert used(rows) == EVEN
    assert [row["reason"] for row in rows] == [0] * 10 + [Reason.REGISTER_BACKWARD] + [0] * 12


def test_silent_ledger_blocks_no_total(day: Settings) -> None:
    """A hundred enterprises, one with a manual coal meter and no data: all their electricity is in the sum."""
    client = connect(day)
    span = {"start": START_MS, "end": START_MS + DAY_MS}
    names = {case.code for case in HUNDRED} | {LEDGER}
    rows = ask(client, "energy", SYSTEM, by="enterprise", items="electricity", **span).to_pylist()
    every = ask(client, "energy", SYSTEM, by="region", items="electricity", **span).to_pylist()
    own = ask(client, "energy", SYSTEM, by="enterprise", part="item", **span).to_pylist()
    disconnect(client)

    assert {row["node"]: row["used"] for row in rows if row["node"] in names} == dict.fromkeys(names, 2300.0)
    assert every[0]["used"] == sum(row["used"] for row in rows if row["used"] is not None)
    coal = next(row for row in own if row["node"] == LEDGER and row["part"] == "raw_coal")
    assert coal["used"] is None  # silence is never zero
    assert coal["received"] == 0


def test_hour_before_the_first_reading_is_no_row(day: Settings) -> None:
    """Nothing is claimed of the time when nothing was read."""
    last = START_MS + 23 * HOUR_MS
    client = connect(day)
    rows = ask(client, "windows", SYSTEM, level="hour", enterprise=CASES["clean"].code, start=last + HOUR_MS,
               end=last + DAY_MS).to_pylist()  # fmt: skip
    disconnect(client)

    assert rows == []
