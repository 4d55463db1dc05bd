"""Checks of the doctor that look at what runs: log or brokers, flows, collectors."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nengliu.bus import OFFSET_BITS, Log
from nengliu.cli.health import (
    FLOWS,
    collector_lives,
    collectors,
    flow_lives,
    flow_noted_s,
    flow_runs,
    left_out,
    process_lives,
    read_status,
    shares_of,
)
from nengliu.cli.language import say
from nengliu.errors import LogError, NengliuError, NoTopic
from nengliu.settings import Settings
from schemas.topics import RAW, TOPICS, VALID

MOST_BEHIND, SLOW_S = 100, 60.0
"""A flow is called slow when so many messages wait for it, the oldest for so long [s]: it notes every ten
seconds how far it is."""
MOST_FILL = 0.8
"""Share of its space a collector's buffer may take; its own alarm is raised at the same."""
MOST_WAIT_S = 900
"""A collector whose oldest message waits longer than this has lost its centre [s]."""
_SOME = 5
"""So many meters are named; the page shows all."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination; `name` is its code; a failing one ends with its cure."""

    name: str
    ok: bool
    found: str
    cure: str = ""


def guarded(name: str, cure: str, check: Callable[[], Check]) -> Check:
    """Make a fault of what a check raises."""
    try:
        return check()
    except NengliuError as error:
        return Check(name, ok=False, found=str(error), cure=say(cure))


# -- log -------------------------------------------------------------------------------------


def log_checks(settings: Settings, stored: Mapping[int, int] | None) -> Iterator[Check]:
    """Examine the log: reachable, its topics, how far the flows are behind, and whether it forgets too early.

    Parameters
    ----------
    stored
        Newest position of the raw topic that the store knows of, by partition; None if it cannot be asked.
    """
    from nengliu.bus.open import connect_log

    if not settings.bus and not settings.log_path.exists():
        yield Check("log", ok=True, found=say("doctor.no_log"))
        return
    if settings.bus and not any(_takes_connections(server) for server in settings.bus.split(",")):
        found = say("doctor.no_broker", servers=settings.bus)
        yield Check("broker", ok=False, found=found, cure=say("cure.broker"))
        return
    try:
        with connect_log(settings) as log:
            if settings.bus:
                present = [topic for topic in TOPICS if _has(log, topic)]
                yield Check("broker", ok=True, found=settings.bus)
                yield _topics(log, settings, present)
                if len(present) < len(TOPICS):
                    return
            yield from _lag(log, settings, stored)
    except LogError as error:
        name = "broker" if settings.bus else "log"
        yield Check(name, ok=False, found=str(error), cure=say("cure.broker"))


def _takes_connections(server: str) -> bool:
    """Whether something listens at ``host:port``: faster told than by a log that waits for it."""
    host, _, port = server.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
    except (OSError, ValueError):
        return False
    return True


def _has(log: Log, topic: str) -> bool:
    """Whether there is such a topic; a broker that does not answer is another matter."""
    try:
        log.partitions(topic)
    except NoTopic:
        return False
    return True


def _topics(log: Log, settings: Settings, present: list[str]) -> Check:
    counts = {topic: log.partitions(topic) for topic in present}
    missing = [topic for topic in TOPICS if topic not in present]
    if missing:
        return Check(
            "topics",
            ok=False,
            found=say("doctor.no_topics", names=", ".join(missing)),
            cure=say("cure.topics"),
        )
    ok = set(counts.values()) == {settings.partitions}
    told = ", ".join(f"{topic} × {count}" for topic, count in counts.items())
    return Check("topics", ok, told, say("cure.partitions", wanted=settings.partitions))


def _lag(log: Log, settings: Settings, stored: Mapping[int, int] | None) -> Iterator[Check]:
    """How large the log is, how far the flows are behind it, and whether it may forget before they have read."""
    places = _places(log, settings, stored)
    if not places:  # a machine without flows
        return
    size = sum(end - first for _, first, end in _bounds(log, RAW))
    behind = sum(
        end - at
        for topic, nexts in places.items()
        for (_, _, end), at in zip(_bounds(log, topic), nexts, strict=True)
    )
    unread_s = max(_unread_s(log, topic, nexts) for topic, nexts in places.items())
    megabytes = 0 if settings.bus else settings.log_path.stat().st_size // 2**20
    found = say("doctor.log_size", messages=size, megabytes=megabytes, behind=behind)
    yield Check("log", behind <= MOST_BEHIND or unread_s < SLOW_S, found, say("cure.lag"))
    days = unread_s / 86_400
    found = say("doctor.unread_age", days=f"{days:.1f}", kept=settings.log_days)
    yield Check("retention", days < settings.log_days / 2, found, say("cure.retention"))


def _unread_s(log: Log, topic: str, nexts: list[int]) -> float:
    """Age of the oldest message that was not read yet [s]."""
    unread = [record for part, at in enumerate(nexts) for record in log.read(topic, part, at, 1)]
    return max((time.time() - record.appended_at_s for record in unread), default=0.0)


def _places(log: Log, settings: Settings, stored: Mapping[int, int] | None) -> dict[str, list[int]]:
    """Offset that is read next, of each partition of the topics whose readers this installation knows."""
    from flows.resume import resume_points

    noted = resume_points(settings)
    found: dict[str, list[int]] = {}
    for topic, known in ((RAW, stored), (VALID, None)):
        if known is not None or topic in noted:
            found[topic] = [
                max(_next((known or {}).get(part), generation, first), noted.get(topic, {}).get(part, 0))
                for part, (generation, first, _) in enumerate(_bounds(log, topic))
            ]
    return found


def _bounds(log: Log, topic: str) -> list[tuple[int, int, int]]:
    found = [log.bounds(topic, part) for part in range(log.partitions(topic))]
    return [(b.generation, b.first, b.end) for b in found]


def _next(position: int | None, generation: int, first: int) -> int:
    """Offset after the newest message the store knows of, in the generation that holds now."""
    if position is None or position >> OFFSET_BITS != generation:
        return first
    return max(first, (position & (1 << OFFSET_BITS) - 1) + 1)


# -- flows -----------------------------------------------------------------------------------


def flow_checks(settings: Settings) -> Iterator[Check]:
    """Examine the flows that ever ran here: whether each runs, ended an epoch lately, and leaves no partition out."""
    named = [part for kind in FLOWS for part in shares_of(settings, kind)]
    known = [part for part in named if flow_noted_s(settings, part)]
    stopped = [part for part in known if not flow_runs(settings, part)]
    stuck = [part for part in known if part not in stopped and not flow_lives(settings, part)]
    missed = [f"{part} {partition}" for part in FLOWS for partition in left_out(settings, part)]
    told = {"doctor.not_running": stopped, "doctor.stuck": stuck, "doctor.left_out": missed}
    ok = not any(told.values())
    if ok:
        told = {"doctor.flowing": known}
    if known:
        found = "; ".join(say(key, names=", ".join(names)) for key, names in told.items() if names)
        yield Check("flows", ok, found, say("cure.flows"))


# -- collectors ------------------------------------------------------------------------------


def collector_checks(settings: Settings, *, offline: bool) -> Iterator[Check]:
    """Examine each collector: its configuration, and unless `offline` whether it runs, its meters and its buffer."""
    from acquisition.drivers.config import load_config

    for part, file in collectors(settings).items():
        try:
            config = load_config(file)
        except NengliuError as error:
            yield Check("collector_config", ok=False, found=str(error), cure=say("cure.config"))
            continue
        meters = sum(len(line.meters) for line in config.lines)
        found = say("doctor.config", file=file, lines=len(config.lines), meters=meters)
        yield Check("collector_config", ok=True, found=found)
        if not offline:
            yield from _collector(settings, part, file)


def _collector(settings: Settings, part: str, file: Path) -> Iterator[Check]:
    status = read_status(settings, file)
    alive = collector_lives(settings, file)
    key = "doctor.runs" if alive else "doctor.hangs" if process_lives(status) else "doctor.stopped"
    yield Check("collector", alive, say(key, name=part), say("cure.collector", part=part))
    if status:
        yield _meters(part, status)
        yield _buffer(part, status)
        yield _backlog(part, status)
        yield from _forgotten(part, status)


def _meters(part: str, status: Mapping[str, Any]) -> Check:
    """Which meters give no answer, and why."""
    silent = []
    for line in status.get("lines", []):
        if str(line.get("state", "")).upper() == "DOWN":  # it explains its meters
            silent.append(f"{line['name']} ({line.get('reason') or 'LINE_DOWN'})")
            continue
        for meter in line.get("meters", []):
            if str(meter.get("state", "")).upper() == "DOWN":
                silent.append(f"{line['name']}/{meter['name']} ({meter.get('reason') or '?'})")
    count = int(status.get("meters", 0))
    if not silent:
        return Check("meters", ok=True, found=say("doctor.meters_up", name=part, count=count))
    names = ", ".join(silent[:_SOME]) + (" …" if len(silent) > _SOME else "")
    found = say(
        "doctor.meters_down", name=part, down=status.get("down", len(silent)), count=count, names=names
    )
    return Check("meters", ok=False, found=found, cure=say("cure.meters"))


def _buffer(part: str, status: Mapping[str, Any]) -> Check:
    fill = float(status.get("fill", 0))
    found = say("doctor.fill", name=part, percent=round(fill * 100))
    return Check("buffer", fill < MOST_FILL, found, say("cure.buffer"))


def _backlog(part: str, status: Mapping[str, Any]) -> Check:
    """What waits to be sent: live messages and those of an outage, and how long the oldest of the live ones waits."""
    live, backfill = int(status.get("queued", 0)), int(status.get("backfill", 0))
    oldest_ms = int(status.get("oldest_ms", 0))
    wait_s = max(time.time() - oldest_ms / 1000, 0.0) if live and oldest_ms else 0.0
    found = say("doctor.waiting", name=part, live=live, backfill=backfill, minutes=int(wait_s // 60))
    return Check("backlog", wait_s < MOST_WAIT_S, found, say("cure.backlog"))


def _forgotten(part: str, status: Mapping[str, Any]) -> Iterator[Check]:
    """Which centres are configured no more, and still have what is read kept for them."""
    for centre in status.get("centres", []):
        rows = int(centre["queued"]) + int(centre["backfill"])
        if not centre["configured"] and rows:
            found = say("doctor.forgotten", name=part, centre=centre["name"], rows=rows)
            yield Check("backlog", ok=False, found=found, cure=say("cure.forgotten", centre=centre["name"]))
