"""Point 4: the way between meters and collector, and between collector and log, cut for hours of virtual time."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import edge
import rig

sys.path.insert(0, str(Path(__file__).parents[1] / "acquisition"))

from proxy import Proxy

from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Quality, Reason
from nengliu.domain.times import HOUR_MS
from nengliu.storage import connect
from schemas.messages import Frame, decode
from schemas.topics import RAW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.server import Broker

INTERVAL_S = 10
HOURS = 3
"""How long each cut lasts."""
ELECTRICITY = ("grid", "heat-treatment", "paint", "power", "press")


@dataclass
class Cut:
    """One cut: from when to when, and what was told of it."""

    from_ms: int
    to_ms: int


def prove(broker: Broker, report: rig.Report, seed: int) -> None:
    """Cut every way once, over both buses."""
    with edge.edge("", seed, interval_s=INTERVAL_S, heartbeat_s=60) as one, proxied(one) as proxy:
        one.start()
        one.run_to(one.plants.start_ms + HOUR_MS)
        refused = cut(one, proxy.refuse, proxy.cut, after=proxy.accept)
        dead = cut(one, proxy.swallow, after=proxy.heal)
        third = cut(
            one, lambda: setattr(proxy, "drop_every", 3), after=lambda: setattr(proxy, "drop_every", 0)
        )
        locked = cut_sqlite(one)
        one.stop()
        one.installation.flow()
        meters(one, report, refused, dead, third)
        log(one, "sqlite", report, locked)
    with edge.edge(broker.bootstrap, seed, interval_s=INTERVAL_S, heartbeat_s=60) as one:
        one.start()
        one.run_to(one.plants.start_ms + HOUR_MS)
        away = cut(one, broker.kill, after=broker.start)
        one.stop()
        one.installation.flow()
        log(one, "kafka", report, away)


@contextmanager
def proxied(one: edge.Edge) -> Iterator[Proxy]:
    """Put a proxy before the line `electricity`."""
    with Proxy("127.0.0.1", one.plants.fleet.ports["electricity"]) as proxy:
        one.ports = {"electricity": proxy.port}
        one.write_config()
        yield proxy


def cut(one: edge.Edge, *before: Callable[[], object], after: Callable[[], object]) -> Cut:
    """Cut between two slots, let the hours pass, mend, and let one more pass."""
    from_ms = one.plants.time() + INTERVAL_S * 500
    one.run_to(from_ms)
    for act in before:
        act()
    one.run_to(from_ms + HOURS * HOUR_MS)
    after()
    one.run_slowly(from_ms + HOURS * HOUR_MS + 180_000)  # whoever connects again does so in real time
    one.run_to(from_ms + (HOURS + 1) * HOUR_MS)
    return Cut(from_ms, from_ms + HOURS * HOUR_MS)


def cut_sqlite(one: edge.Edge) -> Cut:
    """Keep everybody else from writing into the log's file."""
    intruder = sqlite3.connect(one.installation.settings.log_path, isolation_level=None)
    found = cut(one, lambda: intruder.execute("BEGIN IMMEDIATE"), after=lambda: intruder.execute("ROLLBACK"))
    intruder.close()
    return found


def meters(one: edge.Edge, report: rig.Report, refused: Cut, dead: Cut, third: Cut) -> None:
    """Judge the cuts between the meters and the collector."""
    events = told(one)
    down, up = pair(events, refused, LinkKind.LINE_DOWN, LinkKind.LINE_UP)
    report.point(
        "4 line cut: LINE_DOWN and LINE_UP of that line only",
        f"cut for {HOURS} h; {times(refused, down, up)}",
        holds=down is not None
        and up is not None
        and within(down, refused.from_ms, 2 * INTERVAL_S)
        and within(up, refused.to_ms, 90)
        and not names(events, refused) - {"electricity"},
    )
    missing(one, report, "line cut", refused, {"LINE_DOWN"})
    silent, back = pair(events, dead, LinkKind.METER_DOWN, LinkKind.METER_UP)
    report.point(
        "4 half-open connection: told as meters or line down, and up again",
        times(dead, silent, back),
        holds=silent is not None
        and back is not None
        and within(silent, dead.from_ms, 60)
        and within(back, dead.to_ms, 330),
    )
    missing(one, report, "half-open", dead, {"TIMEOUT", "LINE_DOWN"})
    slots = len(edge.due_slots(one, third.from_ms, third.to_ms))
    read = [key for key in edge.stored(one.installation) if third.from_ms < key[1] < third.to_ms]
    rest = sum(point not in ELECTRICITY for point, _ in read)
    line = len(read) - rest
    report.point(
        "4 every third packet lost: the line goes on, the other line undisturbed",
        f"{line} of {slots * len(ELECTRICITY)} readings of the line, {rest} of {slots * 3} of the other",
        holds=rest == slots * 3 and line > slots * len(ELECTRICITY) // 2,
    )
    due, strange = edge.unaccounted(one, edge.kept(one))
    report.point(
        "4 every due reading is there or missing with its reason",
        f"{due} due, {len(strange)} unaccounted",
        holds=not strange,
    )


def missing(one: edge.Edge, report: rig.Report, name: str, what: Cut, reasons: set[str]) -> None:
    """Judge what `nengliu query missed` says of a cut."""
    span = {"start": edge.text_of(what.from_ms), "end": edge.text_of(what.to_ms)}
    rows = one.installation.ask("missed", enterprise=edge.enterprise().enterprise, **span)
    count = sum(int(str(row["count"])) for row in rows)
    slots = len(edge.due_slots(one, what.from_ms, what.to_ms - 1)) * len(ELECTRICITY)
    found = {str(row["reason"]) for row in rows}
    points = {str(row["point"]) for row in rows}
    report.point(
        f"4 {name}: `nengliu query missed` tells every reading that could not be taken",
        f"{count} of {slots}, reasons {', '.join(sorted(found))}",
        holds=count >= slots - 2 * len(ELECTRICITY) and found <= reasons and points <= set(ELECTRICITY),
    )


def log(one: edge.Edge, bus: str, report: rig.Report, what: Cut) -> None:
    """Judge the cut between the collector and the log."""
    events = told(one)
    down, up = pair(events, what, LinkKind.LOG_DOWN, LinkKind.LOG_UP)
    report.point(
        f"4 {bus} away: LOG_DOWN and LOG_UP",
        f"away for {HOURS} h; {times(what, down, up)}",
        holds=down is not None
        and up is not None
        and within(down, what.from_ms, 180)
        and within(up, what.to_ms, 180),
    )
    kept, stored = edge.kept(one), edge.stored(one.installation)
    report.point(
        f"4 {bus} away: everything arrives once",
        f"{len(stored)} of {len(kept.readings)}",
        holds=stored == kept.readings,
    )
    marks = qualities(one)
    mended_ms = what.to_ms if up is None else up
    during = {key: mark for key, mark in marks.items() if what.from_ms < key[1] < what.to_ms - 120_000}
    late = sum(mark == (Quality.LATE, Reason.BACKFILLED) for mark in during.values())
    others = sum(
        mark[0] == Quality.LATE for key, mark in marks.items() if not what.from_ms <= key[1] <= mended_ms
    )
    doubt = len(during) - late
    report.point(
        f"4 {bus} away: backfill arrives marked, nothing else does",
        f"{late} of {len(during)} readings of the cut marked, {doubt} were in doubt (sent before it was known); "
        f"{others} others marked",
        holds=doubt <= 700 and late > 0.9 * len(during) and others == 0,
    )
    before, behind, longest = order(one, what)
    report.point(
        f"4 {bus} away: live data is not delayed behind the backfill",
        f"{before} backfilled readings came before the first live one, {behind} after it, "
        f"at most {longest} between two live ones",
        holds=before < behind / 2 and longest < behind,
    )


def order(one: edge.Edge, what: Cut) -> tuple[int, int, int]:
    """Count backfilled readings before and after the first live frame, and the most between two live ones."""
    before = behind = run = longest = 0
    is_live = False
    with one.installation.log() as opened:
        for partition in range(opened.partitions(RAW)):
            for record in edge.records(opened, partition):
                message = decode(record.value)
                if not isinstance(message, Frame) or int(message.read_at_ms[0]) < what.from_ms:
                    continue
                if message.backfilled:
                    run += message.values.size
                    before, behind = (before, behind + message.values.size) if is_live else (run, 0)
                elif int(message.read_at_ms[0]) > what.to_ms:
                    longest, run = max(longest, run), 0
                    is_live = True
    return before, behind, longest


def told(one: edge.Edge) -> list[dict[str, object]]:
    """Link events by the product's question, oldest first."""
    start_ms = one.plants.start_ms
    span = {"start": edge.text_of(start_ms), "end": edge.text_of(one.plants.time() + HOUR_MS)}
    rows = one.installation.ask("link_events", enterprise=edge.enterprise().enterprise, limit=100000, **span)
    return sorted(rows, key=lambda row: edge.instant_ms(str(row["at"])))


def pair(
    events: list[dict[str, object]], what: Cut, down: LinkKind, up: LinkKind
) -> tuple[int | None, int | None]:
    """Instants of the first `down` in a cut and of the first `up` after it."""
    seen = [(edge.instant_ms(str(event["at"])), str(event["kind"])) for event in events]
    first = next((at for at, kind in seen if kind == down.name and what.from_ms <= at < what.to_ms), None)
    last = next((at for at, kind in seen if kind == up.name and at >= what.to_ms), None)
    return first, last


def names(events: list[dict[str, object]], what: Cut) -> set[str]:
    """Lines that something was told of during a cut and in the minutes after it."""
    return {
        str(event["line"])
        for event in events
        if what.from_ms <= edge.instant_ms(str(event["at"])) < what.to_ms + 300_000 and event["line"]
    }


def qualities(one: edge.Edge) -> dict[tuple[str, int], tuple[int, int]]:
    """Class and reason of every reading in the store."""
    client = connect(one.installation.settings)
    rows = client.query(
        "SELECT point, toUnixTimestamp64Milli(read_at), quality, reason FROM reading FINAL"
    ).result_rows
    client.close()
    return {(point, at): (quality, reason) for point, at, quality, reason in rows}


def within(at_ms: int, from_ms: int, limit_s: float) -> bool:
    """Whether something came soon enough."""
    return at_ms - from_ms <= limit_s * 1000


def times(what: Cut, down: int | None, up: int | None) -> str:
    """How soon it was told, for people."""
    return f"told after {seconds(down, what.from_ms)}, up {seconds(up, what.to_ms)} after it was mended"


def seconds(at_ms: int | None, from_ms: int) -> str:
    """Time between, for people."""
    return "never" if at_ms is None else f"{(at_ms - from_ms) / 1000:.0f} s"
