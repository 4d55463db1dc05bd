"""How far the collector's clock is off, as a time server sees it; nothing is set, the system does that.

The servers are asked in turn until one answers.  The offset is kept and goes out with each
heartbeat, so that whoever reads a stamp knows what it is worth.
Source: TC 4.3.3-4 (clock synchronisation); protocols.md 5.4 (store the offset with every upload).
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgspec

from acquisition.drivers.clock import Clock
from acquisition.drivers.errand import Errand
from acquisition.drivers.intake import Intake
from acquisition.drivers.plans import ClockPlan
from nengliu.domain.links import LinkKind
from schemas.messages import LinkEvent

STATE = "clock"
PATIENCE_S = 5
"""How long one server is waited for [s]."""
FIRST_RETRY_S = 60
"""A collector that has no offset yet asks again so soon [s]."""
UNSYNCHRONISED = 3
"""Leap indicator of a server that does not know the time itself."""
Ask = Callable[[str], int | None]
"""Asks a server: by how much our clock must be moved [ms]; None: no answer that could be used."""


class Kept(msgspec.Struct, frozen=True):
    """What is known of the clock: LinkKind of the state, the offset [ms] and who told it."""

    kind: int
    offset_ms: int = 0
    server: str = ""


_kept = msgspec.json.Decoder(Kept)


def ask_ntp(server: str) -> int | None:
    """Ask an NTP server, ``host`` or ``host:port``; blocks for up to `PATIENCE_S`."""
    import ntplib  # type: ignore[import-untyped]

    host, _, port = server.partition(":")
    try:
        answer = ntplib.NTPClient().request(host, version=4, port=port or "ntp", timeout=PATIENCE_S)
    except (ntplib.NTPException, OSError, socket.gaierror):
        return None
    known = answer.leap != UNSYNCHRONISED and 1 <= answer.stratum <= 15
    return round(1000 * answer.offset) if known else None


class ClockSource:
    """Asks for the time again and again, and tells when the clock comes to be off, right or unsure."""

    def __init__(self, plan: ClockPlan, clock: Clock, desk: Intake, ask: Ask) -> None:
        self._plan, self._clock, self._desk, self._ask = plan, clock, desk, ask
        self._errand = Errand()

    async def run(self) -> None:
        """Ask for ever: until cancelled."""
        while True:
            found = await self._errand.fetch(self._first)
            self._note(found)
            pause_s = self._plan.every_s if found.server else FIRST_RETRY_S
            await self._clock.sleep_until(self._clock.now_ms() + 1000 * pause_s)

    def _first(self) -> Kept:
        """Ask one server after the other until one answers; in the errand's thread."""
        for server in self._plan.servers:
            offset_ms = self._ask(server)
            if offset_ms is not None:
                off = abs(offset_ms) >= self._plan.limit_ms
                return Kept(LinkKind.CLOCK_OFFSET if off else LinkKind.CLOCK_TRUE, offset_ms, server)
        return Kept(LinkKind.CLOCK_UNSURE)

    def _note(self, found: Kept) -> None:
        """Keep the newest, and tell it if it is another state than before."""
        now_ms = self._clock.now_ms()
        before = kept_clock(self._desk)
        _, since_ms = self._desk.state(STATE) or ("", 0)
        same = before is not None and before.kind == found.kind
        self._desk.put_state(STATE, msgspec.json.encode(found).decode(), since_ms if same else now_ms)
        if not same:
            server = found.server or " ".join(self._plan.servers)
            parameters = {"offset_ms": str(found.offset_ms), "server": server}
            self._desk.tell(LinkEvent(now_ms, found.kind, since_ms=since_ms, parameters=parameters))


def kept_clock(desk: Intake) -> Kept | None:
    """Give what is known of the clock; None: it was never asked for."""
    kept = desk.state(STATE)
    return None if kept is None else _kept.decode(kept[0])
