"""Rigs: a driver of each kind with a real peer that shows known values and misbehaves on order.

Polled sources show a register that counts by itself; the others give a value when they are told to.
Each rig knows all that its source ever showed, so that what arrives can be judged to the last digit.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Protocol

from asyncua import ua
from brokers import SmallBroker, free_port
from buses import E1, E2, W1, make_bus, stations
from feed_plans import CODE, ENERGY, HEAD
from opcua_server import OpcServer

from acquisition.drivers.clock import SystemClock
from acquisition.simulator.bus import Told
from acquisition.simulator.carriers import Carrier, PtyCarrier, TcpCarrier
from acquisition.simulator.faults import Fault, FaultKind
from nengliu.domain.links import LinkKind

POINT, NEIGHBOUR = "e-main", "e-other"
MINUTE_MS = 60_000
FIRST_MS = 1_772_409_600_000
"""Stamp of the first value of a source that is no meter."""
FAULTS = ("silence", "garbage", "foreign", "vanish")
GIVEN = tuple(Fraction(90_071_992_547_409_93 + 137 * n, 100) for n in range(200))
"""What sources that are no meters give, one after another: more digits than a float can hold."""


class Rig(Protocol):
    """A driver and its peer.

    Attributes
    ----------
    expected
        By fault, the kinds of link events of which one must be told; QUARANTINE: a rejected row.
    counts
        It shows a value whenever it is asked, and a neighbour beside it.
    """

    @property
    def expected(self) -> dict[str, tuple[LinkKind | str, ...]]: ...

    counts: bool

    def toml(self) -> str:
        """Give its part of collector.toml."""

    async def start(self) -> None:
        """Let the peer run."""

    async def stop(self) -> None:
        """Let it end."""

    async def give(self) -> None:
        """Let the source give one more value, if it does not count by itself."""

    async def spoil(self, fault: str) -> None:
        """Let the peer misbehave."""

    async def heal(self, fault: str) -> None:
        """Let it behave again."""

    def shown(self) -> Sequence[Fraction]:
        """All that the source ever showed of `POINT`, in its order."""


QUARANTINE = "quarantine"


class BusRig:
    """Meters on a simulated line, over a pseudo-terminal, a converter or Modbus TCP."""

    counts = True
    _KINDS: ClassVar[dict[str, tuple[FaultKind, int]]] = {
        "silence": (FaultKind.SILENT, 0),
        "garbage": (FaultKind.DAMAGED, 3),
        "foreign": (FaultKind.OTHER, 1),
    }

    def __init__(
        self, folder: Path, way: str, speaks: str, plan: str, addresses: tuple[str, str], item: str
    ) -> None:
        self._folder, self._way, self._plan, self._addresses, self._item = folder, way, plan, addresses, item
        self._told: list[Told] = []
        names = zip(("e1", "e2"), addresses, strict=True)
        private = speaks == "modbus-tcp"
        self._bus = make_bus(
            stations(*((speaks, name, address) for name, address in names)),
            SystemClock().now_ms,
            baud=0 if way != "serial" else 9600,
            reply_ms=(5, 20),
            told=self._told,
            is_private=private,
        )
        self._carrier: Carrier = (
            PtyCarrier(self._bus, folder / "tty") if way == "serial" else TcpCarrier(self._bus)
        )
        self.expected = {
            "silence": (LinkKind.METER_DOWN,),
            "garbage": (LinkKind.ANSWER_DAMAGED, LinkKind.METER_DOWN),
            "foreign": (LinkKind.METER_FOREIGN, LinkKind.ANSWER_DAMAGED, LinkKind.METER_DOWN),
            "vanish": (LinkKind.LINE_DOWN,),
        }

    def toml(self) -> str:
        if isinstance(self._carrier, PtyCarrier):
            where = f'kind = "serial"\ndevice = "{self._carrier.path}"\nparity = "N"\nbaud = 9600'
        else:
            assert isinstance(self._carrier, TcpCarrier)
            where = f'kind = "{self._way}"\nhost = "127.0.0.1"\nport = {self._carrier.port}\nbaud = 9600'
        return _line(where, self._plan, self._addresses, self._item)

    async def start(self) -> None:
        await self._carrier.start()

    async def stop(self) -> None:
        await self._carrier.stop()
        await asyncio.sleep(0.02)

    async def give(self) -> None:
        """It counts by itself."""

    async def spoil(self, fault: str) -> None:
        if fault == "vanish":
            await self._carrier.stop()
        else:
            kind, value = self._KINDS[fault]
            self._bus.obey([Fault(kind, "bus", "e1", value=value)])

    async def heal(self, fault: str) -> None:
        if fault == "vanish":
            await self._carrier.start()
        else:
            self._bus.obey([])

    def shown(self) -> Sequence[Fraction]:
        values = (value for one in self._told if one.meter == "e1" for value in one.reply.values)
        return [Fraction(value.shown, 10**value.decimals) for value in values if value.item == self._item]


class OpcRig:
    """Two meters of an OPC UA server behind a proxy; a task lets them count."""

    counts = True
    expected: ClassVar[dict[str, tuple[LinkKind | str, ...]]] = {
        "silence": (LinkKind.METER_DOWN, LinkKind.LINE_DOWN),
        "garbage": (LinkKind.METER_REFUSES,),
        "foreign": (LinkKind.METER_REFUSES,),
        "vanish": (LinkKind.LINE_DOWN,),
    }

    def __init__(self, folder: Path) -> None:
        from proxy import Proxy

        (folder / "nodes.toml").write_text(
            'title = "Test"\nsource = "ours"\nprotocol = "opcua"\n'
            '[[nodes]]\nname = "energy"\nnode = "Energy"\nunit = "kWh"\nscale = 0.01\ndecimals = 2\n'
        )
        self._server = OpcServer(free_port(), meters=2)
        self._proxy = Proxy("127.0.0.1", self._server.port)
        self._shown: list[Fraction] = []
        self._counting: asyncio.Task[None] | None = None
        self._status: int = ua.StatusCodes.Good

    def toml(self) -> str:
        where = f'kind = "opcua"\nurl = "opc.tcp://127.0.0.1:{self._proxy.port}"'
        return _line(where, "nodes.toml", ("ns=2;s=Plant.M1.", "ns=2;s=Plant.M2."), "energy")

    async def start(self) -> None:
        await asyncio.to_thread(self._server.__enter__)
        await asyncio.to_thread(self._proxy.__enter__)
        self._shown.append(Fraction(0))
        self._counting = asyncio.create_task(self._count())

    async def stop(self) -> None:
        assert self._counting is not None
        self._counting.cancel()
        await asyncio.gather(self._counting, return_exceptions=True)
        await asyncio.to_thread(self._proxy.__exit__, None, None, None)
        await asyncio.to_thread(self._server.__exit__, None, None, None)

    async def give(self) -> None:
        """It counts by itself."""

    async def _count(self) -> None:
        for value in GIVEN:
            ticks = int(value * 100)
            self._shown.append(value)
            await asyncio.to_thread(self._server.show, "M1.Energy", ticks, self._status)
            await asyncio.to_thread(self._server.show, "M2.Energy", ticks + 1)
            await asyncio.sleep(0.5)

    async def spoil(self, fault: str) -> None:
        if fault == "silence":
            await asyncio.to_thread(self._proxy.swallow)
        elif fault == "vanish":
            await asyncio.to_thread(self._proxy.refuse)
            await asyncio.to_thread(self._proxy.cut)
        else:
            self._status = (
                ua.StatusCodes.BadUserAccessDenied
                if fault == "garbage"
                else ua.StatusCodes.BadConfigurationError
            )

    async def heal(self, fault: str) -> None:
        if fault == "silence":
            await asyncio.to_thread(self._proxy.heal)
        elif fault == "vanish":
            await asyncio.to_thread(self._proxy.accept)
        self._status = ua.StatusCodes.Good

    def shown(self) -> Sequence[Fraction]:
        return self._shown


class _Giver:
    """A source that gives one value a minute of its own time when it is told to."""

    counts = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n = 0

    def shown(self) -> Sequence[Fraction]:
        return GIVEN[: self._n]

    def _next(self) -> tuple[int, str]:
        """Stamp [ms] and value as text of the next one."""
        at_ms, value = FIRST_MS + self._n * MINUTE_MS, GIVEN[self._n]
        self._n += 1
        return at_ms, f"{value.numerator * 100 // value.denominator // 100}.{int(value * 100) % 100:02}"

    def _map(self, time: str, more: str = "", point: str = ENERGY) -> None:
        (self._folder / "map.toml").write_text(HEAD + time + more + point, encoding="utf-8")


class SqlRig(_Giver):
    """A database file that grows."""

    expected: ClassVar[dict[str, tuple[LinkKind | str, ...]]] = {
        "silence": (LinkKind.METER_DOWN,),
        "garbage": (QUARANTINE,),
        "foreign": (LinkKind.LINE_DOWN,),
        "vanish": (LinkKind.LINE_DOWN,),
    }

    def toml(self) -> str:
        return (
            '[[feeds]]\nname = "line"\nkind = "sql"\nmap = "map.toml"\nurl = "sqlite:///plant.db"\n'
            'query = "SELECT at, kwh, changed FROM reading"\nwatermark = "changed"\nevery_s = 1\nsilent_s = 3\n'
        )

    async def start(self) -> None:
        self._map('[time]\ncolumn = "at"\nformat = "epoch_ms"\n')
        self._do("CREATE TABLE reading (at INTEGER, kwh TEXT, changed INTEGER)")

    async def stop(self) -> None:
        """It is a file."""

    async def give(self) -> None:
        at_ms, text = self._next()
        self._do("INSERT INTO reading VALUES (?, ?, ?)", at_ms, text, at_ms)

    async def spoil(self, fault: str) -> None:
        if fault == "garbage":
            at_ms = FIRST_MS + self._n * MINUTE_MS
            self._do("INSERT INTO reading VALUES (?, 'x', ?)", at_ms, at_ms)
            self._do("INSERT INTO reading VALUES ('never', '1', ?)", at_ms)
        elif fault == "foreign":
            self._do("ALTER TABLE reading RENAME COLUMN kwh TO volume")
        elif fault == "vanish":
            (self._folder / "plant.db").rename(self._folder / "away.db")

    async def heal(self, fault: str) -> None:
        if fault == "foreign":
            self._do("ALTER TABLE reading RENAME COLUMN volume TO kwh")
        elif fault == "vanish":
            (self._folder / "away.db").replace(self._folder / "plant.db")

    def _do(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self._folder / "plant.db", timeout=10) as connection:
            connection.execute(statement, values)
        connection.close()


class MqttRig(_Giver):
    """A broker that keeps what was not acknowledged."""

    expected: ClassVar[dict[str, tuple[LinkKind | str, ...]]] = {
        "silence": (LinkKind.METER_DOWN,),
        "garbage": (QUARANTINE,),
        "foreign": (QUARANTINE,),
        "vanish": (LinkKind.LINE_DOWN,),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._broker = SmallBroker()

    def toml(self) -> str:
        return (
            '[[feeds]]\nname = "line"\nkind = "mqtt"\nmap = "map.toml"\nhost = "127.0.0.1"\n'
            f'port = {self._broker.port}\ntopics = ["plant/#"]\ntimeout_s = 2.0\nsilent_s = 3\n'
        )

    async def start(self) -> None:
        long = '[points]\ncolumn = "key"\nvalue = "value"\n'
        point = ENERGY.replace('column = "kwh"', 'match = "plant/m1#kwh"')
        self._map('[time]\ncolumn = "at"\nformat = "epoch_ms"\n', long, point)
        await self._broker.listen()

    async def stop(self) -> None:
        self._broker.vanish()
        await asyncio.sleep(0.02)

    async def give(self) -> None:
        at_ms, text = self._next()
        self._broker.publish("plant/m1", f'{{"at": {at_ms}, "kwh": {text}}}'.encode())

    async def spoil(self, fault: str) -> None:
        if fault == "garbage":
            self._broker.publish("plant/m1", b"\xff{nothing")
        elif fault == "foreign":
            self._broker.publish("plant/m2", json.dumps({"at": FIRST_MS, "kwh": 1}).encode())
        elif fault == "vanish":
            self._broker.vanish()

    async def heal(self, fault: str) -> None:
        if fault == "vanish":
            await self._broker.listen()


class FolderRig(_Giver):
    """A folder that files are dropped in."""

    expected: ClassVar[dict[str, tuple[LinkKind | str, ...]]] = {
        "silence": (LinkKind.METER_DOWN,),
        "garbage": (QUARANTINE,),
        "foreign": (QUARANTINE,),
        "vanish": (LinkKind.LINE_DOWN,),
    }

    def toml(self) -> str:
        return (
            '[[feeds]]\nname = "line"\nkind = "folder"\nmap = "map.toml"\nfolder = "drop"\n'
            "every_s = 1\nsettle_s = 1\nsilent_s = 3\n"
        )

    async def start(self) -> None:
        self._map('[time]\ncolumn = "at"\nformat = "epoch_ms"\n')
        (self._folder / "drop").mkdir()

    async def stop(self) -> None:
        """It is a folder."""

    async def give(self) -> None:
        at_ms, text = self._next()
        with (self._drop / f"{self._n:03}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["at", "kwh"], [at_ms, text]])

    async def spoil(self, fault: str) -> None:
        if fault == "garbage":
            (self._drop / "x.csv").write_bytes(bytes(range(1, 200)))
        elif fault == "foreign":
            (self._drop / "y.csv").write_text("when,volume\n1,2\n")
        elif fault == "vanish":
            (self._folder / "drop").rename(self._folder / "away")

    async def heal(self, fault: str) -> None:
        if fault == "vanish":
            (self._folder / "away").rename(self._folder / "drop")

    @property
    def _drop(self) -> Path:
        found = self._folder / "drop"
        return found if found.exists() else self._folder / "away"


@dataclass(frozen=True)
class Kind:
    """A driver under test."""

    name: str
    make: Callable[[Path], Rig]


def _bus(
    way: str, speaks: str, plan: str, addresses: tuple[str, str], item: str = "energy"
) -> Callable[[Path], Rig]:
    return lambda folder: BusRig(folder, way, speaks, plan, addresses, item)


KINDS: tuple[Kind, ...] = (
    Kind("modbus-tcp", _bus("modbus-tcp", "modbus-tcp", "generic", ("3", "5"))),
    Kind("modbus-rtu-serial", _bus("serial", "modbus-rtu", "generic", ("3", "5"))),
    Kind("modbus-rtu-tcp", _bus("serial-tcp", "modbus-rtu", "generic", ("3", "5"))),
    Kind("dlt645-2007-serial", _bus("serial", "dlt645-2007", "dlt645_2007", (E1, E2))),
    Kind("dlt645-2007-tcp", _bus("serial-tcp", "dlt645-2007", "dlt645_2007", (E1, E2))),
    Kind("dlt645-1997-serial", _bus("serial", "dlt645-1997", "dlt645_1997", (E1, E2))),
    Kind("cjt188-serial", _bus("serial", "cjt188", "cjt188_water", (W1, "78330011223355"), "volume")),
    Kind("cjt188-tcp", _bus("serial-tcp", "cjt188", "cjt188_water", (W1, "78330011223355"), "volume")),
    Kind("opcua", OpcRig),
    Kind("sql", SqlRig),
    Kind("mqtt", MqttRig),
    Kind("folder", FolderRig),
)


@asynccontextmanager
async def rigged(kind: Kind, folder: Path) -> AsyncIterator[Rig]:
    """Let a rig run, with its collector.toml beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = kind.make(folder)
    await rig.start()
    try:
        head = f'name = "c1"\nheartbeat_s = 3600\nalign_ms = 0\n[enterprise]\nenterprise = "{CODE}"\n'
        (folder / "collector.toml").write_text(head + rig.toml(), encoding="utf-8")
        yield rig
    finally:
        await rig.stop()


def _line(where: str, plan: str, addresses: tuple[str, str], item: str) -> str:
    """A line with two meters, read every second."""
    told = f'[[lines]]\nname = "line"\ntimeout_s = 0.4\n{where}\n'
    key = "unit = {}" if plan == "generic" else 'address = "{}"'
    for n, (address, point) in enumerate(zip(addresses, (POINT, NEIGHBOUR), strict=True), 1):
        told += f'[[lines.meters]]\nname = "e{n}"\n{key.format(address)}\nmap = "{plan}"\n'
        told += f"interval_s = 1\nschema = {n}\n"
        told += f'[lines.meters.points]\n{item} = "{point}"\n'
    return told
