"""A fleet: lines of simulated meters on real Modbus TCP, one port per line, faults on order.

The clock is injected, so that tests and proofs run in virtual time; only the delay of a late
answer is real time, because it happens on a real wire.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from acquisition.simulator.faults import Fault, FaultKind, shown, spoil
from acquisition.simulator.meters import WORDS, Meter, bench_meter, plant_meters
from acquisition.simulator.plant import ELECTRICITY, MEDIA, Plant, line_of
from acquisition.simulator.province import Province
from acquisition.simulator.wire import Answer, Refusal, Request, Server
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS
from nengliu.errors import InputError

LARGEST_UNIT = 247
"""Most unit ids behind one port that Modbus allows."""


@dataclass(frozen=True, slots=True)
class Line:
    """Meters behind one port, like those on a gateway's RS-485 line."""

    name: str
    meters: tuple[Meter, ...]


class Fleet:
    """Serves lines of meters until it is stopped.

    Parameters
    ----------
    lines
        Names are unique, and so are unit ids and names of meters within a line.
    clock
        Gives the time of the fleet [ms, UTC].
    port
        Port of the first line, the others follow; 0 lets the system choose them all.

    Attributes
    ----------
    ports
        Port of each line, by its name, once it is started.
    asked
        Well-formed requests to each meter so far, by (line, meter).
    """

    def __init__(
        self,
        lines: Sequence[Line],
        clock: Callable[[], int],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.lines = tuple(lines)
        self.clock = clock
        self.host = host
        self.ports: dict[str, int] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self._first_port = port
        self._servers: dict[str, Server] = {}
        self._faults: list[Fault] = []
        self._of: dict[tuple[str, str], tuple[Fault, ...]] = {}
        self._meters = {(line.name, meter.name): meter for line in lines for meter in line.meters}
        self.add(*faults)

    async def start(self) -> None:
        """Open every line's port.

        Raises
        ------
        OSError, OverflowError
            A port is taken, or beyond the last one; none stays open then.
        """
        for meter in self._meters.values():
            meter.counted(self.clock())  # draws its load, so that no request waits for it
        try:
            for number, line in enumerate(self.lines):
                port = self._first_port + number if self._first_port else 0
                server = Server(self._responder(line), self.host, port)
                await server.start()
                self._servers[line.name] = server
                self.ports[line.name] = server.port
        except (OSError, OverflowError):
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every port and abort its connections."""
        for server in self._servers.values():
            await server.stop()
        self._servers.clear()

    async def mind_ports(self) -> None:
        """Close the ports of lines that are dead now, and open those of lines that live again.

        Raises
        ------
        OSError
            Somebody took a port while it was closed.
        """
        now = self.clock()
        for line, server in self._servers.items():
            dead = (f for f in self._faults if f.kind is FaultKind.DEAD and f.line in ("", line))
            is_dead = any(fault.holds(now) for fault in dead)
            if is_dead and server.listens:
                await server.stop()
            elif not is_dead and not server.listens:
                await server.start()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults ever ordered, those that are over too: the truth log needs them."""
        return tuple(self._faults)

    def add(self, *faults: Fault) -> None:
        """Order faults, before or while the fleet runs.

        Raises
        ------
        InputError
            There is no such line or meter.
        """
        for fault in faults:
            self._know(fault)
        self._faults += faults
        self._index()

    def end(self, fault: Fault, at_ms: int | None = None) -> None:
        """End a fault, now or at another instant; what it did before stays true."""
        at = self.clock() if at_ms is None else at_ms
        place = self._faults.index(fault)
        self._faults[place] = replace(fault, to_ms=min(fault.to_ms, max(at, fault.from_ms)))
        self._index()

    def meter(self, line: str, meter: str) -> Meter:
        """Give one meter of the fleet."""
        return self._meters[line, meter]

    def faults_of(self, line: str, meter: str) -> tuple[Fault, ...]:
        """Give the faults ordered for one meter, in force or not."""
        return self._of[line, meter]

    def register(self, line: str, meter: str, at_ms: int) -> int:
        """Give what a meter's counter shows at an instant [steps], faults included, whoever asks."""
        one = self._meters[line, meter]
        return shown(one.counted, self._of[line, meter], one.modulus, at_ms)

    def words(self, line: str, meter: str, at_ms: int) -> tuple[int, ...]:
        """Give all registers of a meter at an instant, faults included."""
        faults = self._of[line, meter]
        ahead_s = sum(f.value for f in faults if f.kind is FaultKind.CLOCK and f.holds(at_ms))
        times = math.prod(f.value for f in faults if f.kind is FaultKind.OVER and f.holds(at_ms))
        register = self.register(line, meter, at_ms)
        return self._meters[line, meter].words(at_ms, register, at_ms // 1000 + ahead_s, times)

    def _responder(self, line: Line) -> Callable[[Request], Answer]:
        units = {meter.unit: meter.name for meter in line.meters}

        def respond(request: Request) -> Answer:
            name = units.get(request.unit)
            if name is None:
                return Answer(Refusal.NO_ANSWER)
            self.asked[line.name, name] += 1
            now = self.clock()
            last = request.address + request.count
            words = self.words(line.name, name, now)[request.address : last]
            answer = Answer(words if last <= WORDS else Refusal.ADDRESS)
            faults = [fault for fault in self._of[line.name, name] if fault.holds(now)]
            return spoil(answer, faults, self.asked[line.name, name])

        return respond

    def _index(self) -> None:
        self._of = {key: tuple(f for f in self._faults if f.strikes(*key)) for key in self._meters}

    def _know(self, fault: Fault) -> None:
        if any(fault.strikes(*key) for key in self._meters):
            return
        known = [f"{line}/{meter}" for line, meter in self._meters]
        near = difflib.get_close_matches(f"{fault.line}/{fault.meter}", known, n=3, cutoff=0.3) or known[:3]
        raise InputError(
            f"fault {fault.kind}: there is no meter {fault.meter or '(any)'!r} on line"
            f" {fault.line or '(any)'!r}; expected one such as {', '.join(near)}"
        )


def plant_lines(plant: Plant, since_ms: int | None = None, *, prefix: str = "") -> tuple[Line, ...]:
    """Put the plant's meters on two lines: `electricity` and `media` (gas, heat, water, output ...).

    Parameters
    ----------
    since_ms
        Nothing is asked of them before the day before this instant [ms, UTC]; None: from the history's start on.
    prefix
        Stands before the names of the lines.
    """
    meters = plant_meters(plant, since_ms)
    hangs = {name: line_of(plant.site.channel(name)) for name in meters}
    return tuple(
        Line(prefix + line, tuple(meter for name, meter in meters.items() if hangs[name] == line))
        for line in (ELECTRICITY, MEDIA)
    )


def line_prefix(province: Province, plant: Plant) -> str:
    """Give what stands before the names of a plant's lines in the province's fleet; nothing where it is alone."""
    return f"{plant.site.slug}/" if len(province.plants) > 1 else ""


def province_lines(province: Province, since_ms: int) -> tuple[Line, ...]:
    """Put the meters of all plants of the province on lines, two per plant, called ``plant/electricity`` and so on."""
    lines = (plant_lines(one, since_ms, prefix=line_prefix(province, one)) for one in province.plants)
    return tuple(itertools.chain.from_iterable(lines))


def bench_lines(meters: int, lines: int, seed: int, now_ms: int) -> tuple[Line, ...]:
    """Spread a number of meters over lines `line-1`, `line-2` ...; unit ids count from 1 in each.

    Parameters
    ----------
    now_ms
        Nothing is asked of them before the China day before this one [ms, UTC].

    Raises
    ------
    InputError
        A line would hold more than 247 meters.
    """
    each = -(-meters // lines)
    if each > LARGEST_UNIT:
        need = -(-meters // LARGEST_UNIT)
        raise InputError(f"{meters} meters on {lines} lines: expected at most 247 each; take {need} lines")
    day = (now_ms + CHINA_OFFSET_MS) // DAY_MS - 1
    found: list[Line] = []
    for first in range(0, meters, each):
        numbers = range(first, min(first + each, meters))
        told = tuple(bench_meter(seed, n, unit, day) for unit, n in enumerate(numbers, 1))
        found.append(Line(f"line-{len(found) + 1}", told))
    return tuple(found)
