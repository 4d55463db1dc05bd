"""The truth log of a scene: JSON lines, one object each, that say what was ordered, shown and used.

``is`` says what a line is: ``scene`` and ``meter`` and ``point`` and ``fault`` (known beforehand),
``answer`` (a request that reached a meter, as it happens) and ``use`` (what was used in a quarter-hour).
Instants are ms, UTC; values are ticks of 10 ** -decimals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

import msgspec

from acquisition.simulator.bus import Told
from acquisition.simulator.faults import FaultKind, shown
from acquisition.simulator.moment import panel
from acquisition.simulator.scene import Placed, Scene
from acquisition.simulator.truth import Span


class Journal:
    """Writes a truth log.

    Parameters
    ----------
    out
        Where the lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self, scene: Scene) -> None:
        """Write what is known beforehand."""
        head = {"is": "scene", "name": scene.told.name, "seed": scene.seed}
        self._write(head | {"start_ms": scene.start_ms, "end_ms": scene.end_ms})
        for placed in scene.meters:
            for row in _meter_rows(scene, placed):
                self._write(row)
        for one in scene.ordered:
            row = asdict(one.fault) | {
                "is": "fault",
                "id": one.id,
                "class": one.cls,
                "evidence": one.evidence,
            }
            self._write({name: value for name, value in row.items() if name not in ("every_ms", "lasts_ms")})

    def answered(self, told: Told) -> None:
        """Write what became of a request."""
        reply = told.reply
        self._write(
            {
                "is": "answer",
                "line": told.line,
                "meter": told.meter,
                "asked_ms": told.asked_ms,
                "sent_ms": told.sent_ms,
                "at_ms": reply.at_ms,
                "request": told.request.hex(),
                "sent": told.sent.hex(),
                "whole": told.sent == reply.frame,
                "faults": told.faults,
                "values": [(one.item, one.shown, one.true, one.decimals) for one in reply.values],
            }
        )

    def used(self, spans: Iterator[Span]) -> None:
        """Write what was used in quarter-hours."""
        for span in spans:
            self._write({"is": "use"} | asdict(span))

    def _write(self, row: dict[str, Any]) -> None:
        self._out.write(msgspec.json.encode(row).decode() + "\n")


def point_of(meter: str, item: str) -> str:
    """Name the point that an item of a meter is in the written configuration."""
    return f"{meter}-{item}"


def _meter_rows(scene: Scene, placed: Placed) -> Iterator[dict[str, Any]]:
    """Say who a meter is and which points it feeds."""
    station, table = placed.station, placed.table
    where = {"line": placed.line.name, "meter": station.name}
    yield {
        "is": "meter",
        **where,
        "protocol": table.protocol,
        "address": station.address,
        "modulus": station.meter.modulus,
        "knowable": scene.is_knowable(placed),
        "changes": changes(scene, placed),
    }
    for item in table.items:
        one = panel()[item]
        yield {
            "is": "point",
            **where,
            "point": point_of(station.name, item),
            "item": item,
            "unit": one.unit,
            "counter": one.counter,
        }


def changes(scene: Scene, placed: Placed) -> list[tuple[int, int, int]]:
    """Say when another meter took the place of this one: instant, its last register, the first of the new one [steps].

    Whoever runs such a plant books them; so the collector's configuration may know.
    """
    faults, meter = scene.faults_of(placed), placed.station.meter
    found = []
    for change in (fault for fault in faults if fault.kind is FaultKind.CHANGE):
        before = [fault for fault in faults if fault is not change]
        found.append(
            (change.from_ms, shown(meter.counted, before, meter.modulus, change.from_ms), change.value)
        )
    return found
