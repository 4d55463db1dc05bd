"""The state now, as HOME/collector/<name>.json shows it to people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.states import LineLink, MeterLink, State
from acquisition.drivers.sources.plans import FeedPlan
from nengliu.domain.quality import Reason

_line_link = msgspec.json.Decoder(LineLink)
_meter_link = msgspec.json.Decoder(MeterLink)


def write_whole(file: Path, shown: Mapping[str, Any]) -> None:
    """Write the file so that nobody ever reads half of it."""
    whole = file.with_suffix(".new")
    whole.write_bytes(msgspec.json.format(msgspec.json.encode(shown), indent=1))
    whole.replace(file)


def count_meters(lines: Sequence[LineTask]) -> dict[str, int]:
    """Count the meters, and those that cannot be read because they or their line are down."""
    down = [
        State.DOWN in (device.link.state, line.connection.link.state)
        for line in lines
        for device in line.devices
    ]
    return {"meters": len(down), "down": sum(down)}


def line_status(line: LineTask) -> dict[str, Any]:
    """Give the state of a line and of its meters."""
    link = line.connection.link
    meters = [
        {
            "name": device.meter.name,
            "state": device.link.state,
            "since_ms": device.link.since_ms,
            "reason": device.link.reason,
            "last_ms": device.last_ms,
        }
        for device in line.devices
    ]
    reason = "LINE_DOWN" if link.state is State.DOWN else ""
    state = {
        "name": line.line.name,
        "state": link.state,
        "since_ms": link.since_ms,
    }
    return state | {"reason": reason, "meters": meters}


def feed_status(plan: FeedPlan, desk: Desk) -> dict[str, Any]:
    """Give the state of a feed: that of the way to it, or, while it is only silent, that of its source.

    `last_ms` is the newest stamp of what it gave last [ms, UTC]; 0: nothing so far.
    """
    kept = desk.state(f"line/{plan.name}")
    way = _line_link.decode(kept[0]) if kept else LineLink()
    kept = desk.state(f"meter/{plan.name}/{plan.name}")
    source = _meter_link.decode(kept[0]) if kept else MeterLink()
    state, since_ms, reason = way.state, way.since_ms, ""
    if way.state is State.DOWN:
        reason = Reason.LINE_DOWN.name
    elif source.state is State.DOWN:
        state, since_ms, reason = source.state, source.since_ms, source.reason
    _, last_ms = desk.state(f"last/{plan.name}") or ("", 0)
    about = {"name": plan.name, "kind": plan.kind, "state": state, "since_ms": since_ms}
    return about | {"reason": reason, "last_ms": last_ms}
