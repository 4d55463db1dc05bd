"""OPC UA as the transport of a line: many nodes at a time, each with its status.

A value whose status is uncertain comes as such, one whose status is bad is lost with its reason;
what each status means to us is data (`opcua_status.csv`).  Only the service Read is used.
asyncua raises on an uncertain value in its convenient calls: here data values are taken as they come.
Source: OPC 10000-4 (services, status codes), 10000-8 (data access).
"""

from __future__ import annotations

import csv
import datetime as dt
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acquisition.codecs.exchange import Answer, Block
from acquisition.codecs.registers import MOST
from acquisition.drivers.clock import Clock
from acquisition.drivers.sources.opcua_map import Node, NodeBlock
from nengliu.domain.quality import Quality
from nengliu.errors import InputError, LinkError

if TYPE_CHECKING:
    from acquisition.drivers.line_config import Line

SEVERITY = 30
"""Bits below the severity of a status: 0 good, 1 uncertain, 2 and 3 bad.  Source: OPC 10000-4, 7.39."""
WATCHDOG_S = 10.0
"""How often asyncua looks whether the server lives, beside our own questions [s]."""
MOST_PER_READ = 11705
"""Node of the server's limit.  Source: OPC 10000-5, 6.3.11 (MaxNodesPerRead)."""
LONGEST_TEXT = 64
_SESSION = (
    "BadSession",
    "BadSecureChannel",
    "BadConnection",
    "BadServerNotConnected",
    "BadCommunicationError",
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status means: why there is no value, or how far it is to be trusted."""

    reason: str
    quality: Quality


class OpcUa:
    """One session of a server.

    Raises
    ------
    InputError
        The extra ``nengliu[opcua]`` is not installed, or the password cannot be read.
    """

    def __init__(self, line: Line, clock: Clock, beside: Path = Path()) -> None:
        try:
            import asyncua
            from asyncua.client.client import Client
        except ImportError as error:
            told = (
                f"line {line.name}: kind opcua: expected the extra nengliu[opcua], got: {error}; install it"
            )
            raise InputError(told) from error
        for name in ("asyncua", "asyncua.client.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what it would say is in our reasons
        self._asyncua, self._new_client = asyncua, Client
        self._line, self._clock, self._beside = line, clock, beside
        self._client: Any = None
        self._most = 0

    async def connect(self) -> None:
        """Open a session anew; LinkError LINE_DOWN if it cannot be had in time."""
        await self.close()
        line, ua = self._line, self._asyncua.ua
        client = self._new_client(line.url, timeout=line.timeout_s, watchdog_intervall=WATCHDOG_S)
        try:
            if line.user:
                client.set_user(line.user)
                client.set_password(self._password())
            if line.security:
                await client.set_security_string(line.security)
            await client.connect()
            limit = await client.get_node(ua.NodeId(MOST_PER_READ)).read_data_value(raise_on_bad_status=False)
            self._client = client
        except (OSError, TimeoutError, ua.UaError, ValueError) as error:
            told = f"{line.url}: expected a session within {line.timeout_s} s, got {_said(error)}"
            raise LinkError("LINE_DOWN", f"{told}; see that the server runs and knows this user") from error
        finally:
            if self._client is None:
                await _hang_up(client)
        found = limit.Value.Value if limit.Value is not None else 0
        self._most = found if isinstance(found, int) and found > 0 else 0

    async def ask(self, address: str, block: Block) -> Answer:
        """Read the nodes of a block below `address`.

        Raises
        ------
        LinkError
            TIMEOUT, LINE_DOWN; or, if no node has a value, the reason of the first.
        """
        assert isinstance(block, NodeBlock)
        ids = [self._asyncua.ua.NodeId.from_string(address + node.node) for node in block.nodes]
        most = self._most or len(ids)
        found: list[Any] = []
        for start in range(0, len(ids), most):
            found += await self._read(ids[start : start + most])
        answer = self._judged(address, block.nodes, found)
        if not answer.values and all(error.reason != "NO_DATA" for error in answer.lost.values()):
            raise next(iter(answer.lost.values()))
        return answer

    async def close(self) -> None:
        """End the session; harmless if there is none."""
        client, self._client = self._client, None
        if client is not None:
            await _hang_up(client)

    async def _read(self, ids: Sequence[Any]) -> list[Any]:
        """Ask for some nodes at once."""
        ua, line = self._asyncua.ua, self._line
        if self._client is None:
            raise LinkError("LINE_DOWN", f"{line.url}: expected a session, got none")
        try:
            found: list[Any] = await self._client.uaclient.read_attributes(list(ids), ua.AttributeIds.Value)
        except TimeoutError as error:
            told = f"{line.url}: expected an answer within {line.timeout_s} s, got none"
            raise LinkError("TIMEOUT", told) from error
        except ua.UaStatusCodeError as error:
            raise self._refusal(_status(error.code)) from error
        except OSError as error:
            raise LinkError("LINE_DOWN", f"{line.url}: the connection was lost: {_said(error)}") from error
        except ua.UaError as error:
            told = f"{line.url}: expected values, got {_said(error)}"
            raise LinkError("DAMAGED", told, got=_said(error)) from error
        if len(found) != len(ids):
            told = f"{line.url}: expected {len(ids)} values, got {len(found)}"
            raise LinkError("MISMATCH", told)
        return found

    def _refusal(self, status: str) -> LinkError:
        """Say what the refusal of a whole request means."""
        told = f"{self._line.url}: expected values, got {status}"
        reason = "LINE_DOWN" if status.startswith(_SESSION) else "REFUSED"
        return LinkError(reason, told, code=status)

    def _judged(self, address: str, nodes: Sequence[Node], found: Sequence[Any]) -> Answer:
        """Take the values as far as their status lets them be any."""
        values: dict[str, int] = {}
        lost: dict[str, LinkError] = {}
        quality: dict[str, Quality] = {}
        for node, one in zip(nodes, found, strict=True):
            meaning, status = self._meaning(one)
            if meaning.reason:
                lost[node.name] = _lost(meaning.reason, address + node.node, status)
                continue
            try:
                values[node.name] = ticks_of(node, one.Value.Value if one.Value is not None else None)
            except LinkError as error:
                lost[node.name] = error
                continue
            if meaning.quality is not Quality.GOOD:
                quality[node.name] = meaning.quality
        return Answer(values, lost, quality=quality)

    def _meaning(self, one: Any) -> tuple[Meaning, str]:
        """Judge a value by its status, and by its age if the line sets a limit."""
        code = one.StatusCode.value if one.StatusCode is not None else 0
        status = "Good" if code == 0 else _status(code)
        found = meaning_of(code, status)
        if found.quality is Quality.GOOD and not found.reason and self._is_stale(one.SourceTimestamp):
            return Meaning("", Quality.SUSPECT), status
        return found, status

    def _is_stale(self, at: dt.datetime | None) -> bool:
        """Whether a value is older than it may be; one without a stamp never is."""
        if not self._line.max_age_s or at is None:
            return False
        stamp = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
        return self._clock.now_ms() - stamp.timestamp() * 1000 > self._line.max_age_s * 1000

    def _password(self) -> str:
        file = self._line.password_file
        try:
            return (self._beside / file).read_text(encoding="utf-8").strip() if file else ""
        except (OSError, UnicodeDecodeError) as error:
            told = f"line {self._line.name}: password_file: expected a text file, got {error}"
            raise InputError(told) from error


def ticks_of(node: Node, value: object) -> int:
    """Turn what a node holds into ticks: whole numbers and decimals exactly, floats half-even.

    Raises
    ------
    LinkError
        NO_DATA: nothing, or not a number; CONFIG: something that is none; DAMAGED: beyond what a tick can hold.

    >>> ticks_of(Node("energy", "E", "kWh", 2, Fraction(100), Fraction(0)), 12.344)
    1234
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise LinkError("NO_DATA", f"{node.name}: {value} is not a number", register=node.name)
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        with suppress(InvalidOperation):
            value = Decimal(value.strip())
    if not isinstance(value, int | float | Decimal) or (isinstance(value, Decimal) and not value.is_finite()):
        raise _lost("CONFIG", node.node, type(value).__name__)
    found = round(Fraction(value) * node.step + node.shift)
    if abs(found) > MOST:
        raise LinkError("DAMAGED", f"{node.name}: expected at most 63 bits of ticks, got {found}", got=found)
    return found


def meaning_of(code: int, status: str) -> Meaning:
    """Say what a status means to a reading.

    >>> meaning_of(0x80340000, "BadNodeIdUnknown").reason
    'CONFIG'
    >>> meaning_of(0x40930000, "UncertainSensorNotAccurate").quality.name
    'SUSPECT'
    """
    found = _meanings().get(status)
    if found is not None:
        return found
    severity = code >> SEVERITY
    if severity >= 2:
        return Meaning("REFUSED", Quality.BAD)
    return Meaning("", Quality.SUSPECT if severity else Quality.GOOD)


@cache
def _meanings() -> Mapping[str, Meaning]:
    text = resources.files("acquisition.drivers.sources").joinpath("opcua_status.csv").read_text("utf-8")
    return {
        row["status"]: Meaning(row["reason"], Quality[row["quality"]] if row["quality"] else Quality.BAD)
        for row in csv.DictReader(text.splitlines())
    }


def _lost(reason: str, node: str, status: str) -> LinkError:
    """Say why a node has no value, with the parameters that the text of its reason speaks of."""
    told = f"node {node}: expected a value, got {status}"
    if reason == "NO_DATA":
        return LinkError(reason, told, register=node, got=status)
    return LinkError(reason, told, code=status, function="Read", address=node)


def _status(code: int) -> str:
    """Name a status by its upper half: the lower holds flags."""
    from asyncua.ua.status_codes import get_name_and_doc

    name, _ = get_name_and_doc(code & 0xFFFF0000)
    return str(name)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def _hang_up(client: Any) -> None:
    """End a session in peace if the server lets us, and let go of the socket in any case."""
    try:
        await client.disconnect()  # whatever fails on its way, it only logs
    finally:
        client.disconnect_socket()
