"""What a meter says of itself: its clock against ours, and its status words, as pure steps with their event.

Both are read hourly and after a meter came back.  An event says a change, never a repetition.
Source: TC 4.3.3 (report a meter's fault), DL/T 645-2007 annex A (status words); protocols 1.2, 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from acquisition.codecs.words import faults_of
from nengliu.domain.links import LinkKind

OFF_S = 300
"""A clock that is further off is a fault, and no broadcast can set it right.  Source: protocols 1.1, 5.4."""
TRUSTED_S = 5
"""So far off a clock may be for its frozen values to stand for the hour; a live reading of a line is not nearer."""
CLOCK, STATUS = "clock", "status_"
Said = tuple[LinkKind, dict[str, str]]


class Health(msgspec.Struct, frozen=True):
    """What a meter said of itself last.

    Parameters
    ----------
    drift_s
        Its clock less ours; None: not known.
    is_off
        Whether that was told as a fault.
    set_from_s
        Drift before its clock was set; None: nobody did since.
    faults
        What its status words say is wrong.
    since_ms
        When that was heard first [ms, UTC].
    """

    drift_s: int | None = None
    is_off: bool = False
    set_from_s: int | None = None
    faults: tuple[str, ...] = ()
    since_ms: int = 0

    @property
    def is_trusted(self) -> bool:
        """Whether its frozen values may stand for the hour they bear."""
        return self.drift_s is not None and abs(self.drift_s) <= TRUSTED_S


def hear_clock(health: Health, clock_ms: int, at_ms: int) -> tuple[Health, Said | None]:
    """Take note of what a meter's clock showed at an instant of ours."""
    drift_s = round((clock_ms - at_ms) / 1000)
    before_s, is_off = health.drift_s, abs(drift_s) > OFF_S
    after = msgspec.structs.replace(health, drift_s=drift_s, is_off=is_off, set_from_s=None)
    if is_off:
        return after, None if health.is_off else (LinkKind.METER_CLOCK_OFF, {"seconds": str(drift_s)})
    if health.is_off:
        return after, (LinkKind.METER_CLOCK_SET, {"seconds": str(before_s)})
    if health.set_from_s is not None and abs(drift_s) < abs(health.set_from_s):
        return after, (LinkKind.METER_CLOCK_SET, {"seconds": str(health.set_from_s)})
    return after, None


def hear_status(
    health: Health, protocol: str, values: Mapping[str, int], at_ms: int
) -> tuple[Health, Said | None]:
    """Take note of a meter's status words, by item."""
    words = {name: value for name, value in values.items() if name.startswith(STATUS)}
    if not words:
        return health, None
    faults = tuple(
        sorted(fault for name, value in words.items() for fault in faults_of(f"{protocol}/{name}", value))
    )
    if faults == health.faults:
        return health, None
    after = msgspec.structs.replace(health, faults=faults, since_ms=at_ms)
    kind = LinkKind.METER_STATUS if faults else LinkKind.METER_STATUS_CLEAR
    return after, (kind, {"bits": ", ".join(faults)} if faults else {})
