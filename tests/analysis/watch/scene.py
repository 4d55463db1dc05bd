"""A small plant for the tests of the watch: two lines of two meters on one collector, and blocks of its readings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from factories import AT_S, ENTERPRISE, make_meter, make_point

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.watch.shard import WatchShard
from nengliu.domain.quality import Reason
from schemas.block import Block, Labels, Lists, Rows, Verdict
from schemas.messages import (
    LinkEvent,
    LinkNotice,
    Notice,
    PointNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
)

METERS = ("a", "b", "c", "d")
SOURCE = "gateway"
QUARTER_S = 900


def plant(**given: Any) -> list[Notice]:
    """Four counters, each of a meter of its own, on two lines of one collector; fields may be given."""
    fixed: dict[str, Any] = {"rated": 40_000, "meters": (make_meter(modulus=10**8),)}
    points = [PointNotice(make_point(name, **(fixed | given))) for name in METERS]
    return [*points, wiring({"l1": {"a": ("a",), "b": ("b",)}, "l2": {"c": ("c",), "d": ("d",)}})]


def wiring(lines: dict[str, dict[str, tuple[str, ...]]]) -> WiringNotice:
    """Lines -> meters -> points of the collector."""
    wired = (
        WiredLine(line, tuple(WiredMeter(*meter) for meter in meters.items()))
        for line, meters in lines.items()
    )
    return WiringNotice(ENTERPRISE, SOURCE, tuple(wired))


def block(position: int, readings: Iterable[dict[str, Any]], enterprise: str = ENTERPRISE) -> Block:
    """One message: `point`, `at` (quarters after the start) and `ticks` of each reading; the rest has defaults."""
    rows = list(readings)
    names = list(dict.fromkeys(row["point"] for row in rows))

    def column(dtype: str, of: Any) -> Any:
        return np.array([of(row) for row in rows], dtype)

    at = column("i8", lambda row: AT_S + round(row["at"] * QUARTER_S))
    late = column("i8", lambda row: row.get("late_s", 5))
    n = len(rows)
    return Block(
        points=tuple((enterprise, name) for name in names),
        slot=column("i4", lambda row: names.index(row["point"])),
        read_at_ms=at * 1000,
        ticks=column("i8", lambda row: row.get("ticks", 0)),
        quality=column("u1", lambda row: row.get("quality", 0)),
        reason=column("u2", lambda row: row.get("reason", Reason.NONE)),
        origin=column("u1", lambda row: row.get("origin", 0)),
        received_at_s=at + late,
        sequence=np.full(n, position, np.uint64),
        position=np.full(n, position, np.uint64),
        sent=np.zeros(n, np.int64),
        units=(("kWh", 2),),
        sent_unit=np.zeros(n, np.uint16),
        verdict=column("u1", lambda row: row.get("verdict", Verdict.NEW)),
    )


class Scene:
    """A shard with the plant in it, fed message by message, and what it said."""

    def __init__(self, notices: Iterable[Notice] | None = None, shard: WatchShard | None = None) -> None:
        self.shard = shard or WatchShard(Catalogue())
        self.position = self.ticked = 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.journal: list[dict[str, Any]] = []
        for notice in plant() if notices is None else notices:
            self.take(notice)

    def take(self, notice: Notice) -> None:
        """Take a notice in at the next position."""
        self.position += 1
        self.keep(self.shard.take(notice, self.position))

    def send(self, *readings: dict[str, Any]) -> None:
        """Take a message in at the next position."""
        self.position += 1
        self.keep(self.shard.add(block(self.position, readings)))

    def run(self, first: int, end: int, *, without: str = "", still: str = "", step: int = 100) -> None:
        """Let the four meters run for some quarters, but for some that send nothing or stand."""
        for at in range(first, end):
            rows = [{"point": m, "at": at, "ticks": self.ticks(m, at, first, still, step)} for m in METERS]
            self.send(*(row for row in rows if row["point"] not in without))

    def ticks(self, meter: str, at: int, first: int, still: str, step: int) -> int:
        """Register of a meter that has run since the start, or stood since `first`."""
        return 1000 + step * (first - 1 if meter in still else at)

    def tick(self, at: float) -> None:
        """Move the clock on to `at` quarters after the start, a tick every ten minutes."""
        end = AT_S + round(at * QUARTER_S)
        for second in (*range(self.ticked or end, end, 600), end):
            self.take(TickNotice(second))
        self.ticked = end

    def link(self, at: float, kind: int, **given: Any) -> None:
        """Let the collector say something of its links."""
        second = AT_S + round(at * QUARTER_S)
        event = LinkEvent(second * 1000, kind, **given)
        self.take(LinkNotice(ENTERPRISE, SOURCE, self.position, second, (event,)))

    def keep(self, found: list[Rows]) -> None:
        """Keep what was said: the newest row of each incident, and the journal."""
        for rows in found:
            for row in spell(rows):
                if rows.table == "incident":
                    self.rows[row["incident"]] = row
                else:
                    self.journal.append(row)

    @property
    def causes(self) -> list[tuple[int, str, tuple[str, ...]]]:
        """Cause, root kind and members of every incident, by beginning."""
        found = sorted(self.rows.values(), key=lambda row: (row["opened_at"], row["incident"]))
        return [(row["cause"], row["root"], row["members"]) for row in found]

    @property
    def only(self) -> dict[str, Any]:
        """The only incident."""
        (row,) = self.rows.values()
        return row

    @property
    def said(self) -> list[str]:
        """What the journal says, in order."""
        return [row["what"] for row in self.journal]


def spell(rows: Rows) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    columns = {name: _values(column) for name, column in rows.columns.items()}
    return [{name: column[i] for name, column in columns.items()} for i in range(len(rows))]


def evidence(row: dict[str, Any]) -> list[str]:
    """Codes of an incident's evidence."""
    return [one["code"] for one in json.loads(row["evidence"])]


def _values(column: Any) -> list[Any]:
    if isinstance(column, Labels):
        return [column.dictionary[code] for code in column.codes.tolist()]
    return list(column.values) if isinstance(column, Lists) else column.tolist()
