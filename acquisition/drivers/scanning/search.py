"""Search for the addresses of the meters of one line; it asks for readings and addresses, and for nothing else.

Meters that name themselves (DL/T 645, CJ/T 188) are asked with AA in place of digits that may be
anything.  One answers: found.  Several answer at once, or spoil each other's answers: the lowest
pair of digits is fixed, 00 to 99, and wherever it is still crowded the next pair.  Modbus units are
asked one by one.
Source: DL/T 645-2007 7 (wildcards in addresses); protocols 1.1, 2.1; the search is ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from acquisition.codecs import cjt188, dlt645
from acquisition.codecs.exchange import Answer
from acquisition.codecs.modbus import RegisterBlock
from acquisition.drivers.clock import Clock
from acquisition.drivers.lines.wires import Wire
from nengliu.errors import LinkError

CHARACTER_BITS = 11
"""Start, eight data bits, parity or a second stop bit, stop."""
ANY_PAIR = "AA"
MOST_CROWDS = 32
"""So many of a hundred patterns may be crowded: more would be twice the loads of a line (TC 4.3.3), and is noise."""
PROBE = RegisterBlock(3, 0, 2, ())
"""A question that a Modbus unit answers, be it with a refusal; two words, since some meters never split a float."""
ALIVE = ("CONFIG", "REFUSED")
"""Refusals that come from the meter itself, not from a gateway before it."""

Ask = Callable[[str], bytes]
"""Lays a question for a pattern of an address."""
Step = Callable[[str], None]
"""Told of each pattern or unit, after it was asked."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A question for every meter, and the one to go on with when too many answer it."""

    pattern: str
    ask: Ask
    narrow: Ask


@dataclass(frozen=True, slots=True)
class Tongue:
    """How meters of one protocol are asked who they are.

    Parameters
    ----------
    protocol
        As a map names it.
    openings
        Tried one after the other until something is heard.
    answer_bytes
        Length of the longest answer to these questions, wake-up included.
    """

    protocol: str
    openings: tuple[Opening, ...]
    decoder: type[dlt645.Decoder] | type[cjt188.Decoder]
    answer_bytes: int


@dataclass(frozen=True, slots=True, order=True)
class Met:
    """A meter that was met; `meter_type` is what a CJ/T 188 meter calls itself."""

    protocol: str
    address: str
    meter_type: int = 0


def tongue_2007() -> Tongue:
    """Ask for the address (13H), and where nobody knows that, for the energy."""
    narrow = _asking(dlt645.E2007, "00010000")
    first = Opening(dlt645.WILDCARD, dlt645.read_address, narrow)
    return Tongue(
        dlt645.E2007.name, (first, Opening(dlt645.WILDCARD, narrow, narrow)), dlt645.Decoder, 4 + 12 + 8
    )


def tongue_1997() -> Tongue:
    """Ask for the energy: this edition has no question for the address."""
    ask = _asking(dlt645.E1997, "9010")
    openings = tuple(Opening(pattern, ask, ask) for pattern in dlt645.E1997.wildcards)
    return Tongue(dlt645.E1997.name, openings, dlt645.Decoder, 4 + 12 + 6)


def tongue_188(meter_type: int) -> Tongue:
    """Ask for the address (03H), then for the reading, identifiers in both orders."""
    by_address = [_laying(cjt188.read_address, meter_type, code) for code in (b"\x81\x0a", b"\x0a\x81")]
    by_data = [_laying(cjt188.read_data, meter_type, code) for code in (b"\x1f\x90", b"\x90\x1f")]
    openings = tuple(Opening(cjt188.WILDCARD, ask, ask) for ask in (*by_address, *by_data))
    return Tongue("cjt188", openings, cjt188.Decoder, 4 + 13 + 46)


def _asking(edition: dlt645.Edition, energy: str) -> Ask:
    identifier = bytes.fromhex(energy)[::-1]
    return lambda pattern: dlt645.read_data(edition, pattern, identifier)


def _laying(lay: Callable[[int, str, bytes, int], bytes], meter_type: int, identifier: bytes) -> Ask:
    return lambda pattern: lay(meter_type, pattern, identifier, 0)


@dataclass(frozen=True, slots=True)
class Pace:
    """How patiently a line is asked.

    Parameters
    ----------
    timeout_s
        How long a meter may take to begin its answer [s].
    baud
        Speed of the line [bit/s]; 0: the frames take no time.
    pause_ms
        Peace before each question [ms].
    """

    timeout_s: float
    baud: int
    pause_ms: int


class Searcher:
    """Asks and listens on one open wire, with pauses."""

    def __init__(self, wire: Wire, clock: Clock, pace: Pace, step: Step) -> None:
        self._wire, self._clock, self._pace, self._step = wire, clock, pace, step
        self.unclear: list[str] = []
        """Patterns under which something was heard that could not be told apart: noise, or one address twice."""

    async def units(self, units: Iterable[int]) -> list[Met]:
        """Ask Modbus units one by one; LinkError LINE_DOWN if the line goes."""
        return [Met("modbus", str(unit)) for unit in units if await self._answers(unit)]

    async def meters(self, tongue: Tongue) -> list[Met]:
        """Find the meters that speak a protocol; LinkError LINE_DOWN if the line goes."""
        for opening in tongue.openings:
            met, is_crowded = await self._hear(tongue, opening.ask, opening.pattern)
            if is_crowded:
                met |= await self._look_into(tongue, opening.narrow, ANY_PAIR * (len(opening.pattern) // 2))
            if met or is_crowded:
                return sorted(met)
        return []

    async def _look_into(self, tongue: Tongue, ask: Ask, pattern: str) -> set[Met]:
        """Fix the lowest free pair of a crowded pattern, and go deeper where it is crowded still."""
        found: set[Met] = set()
        crowded: list[str] = []
        for pair in range(100):
            narrower = narrowed(pattern, pair)
            met, is_crowded = await self._hear(tongue, ask, narrower)
            found |= met
            if is_crowded:
                crowded.append(narrower)
        if len(crowded) > MOST_CROWDS:
            self.unclear.append(pattern)
            return found
        for narrower in crowded:
            if ANY_PAIR in narrower:
                found |= await self._look_into(tongue, ask, narrower)
            else:
                self.unclear.append(narrower)
        return found

    async def replies(self, tongue: Tongue, request: bytes) -> tuple[list[dlt645.Frame | cjt188.Frame], int]:
        """Ask and listen to the end of the time: the answers, and how many bytes came that belong to none.

        Raises
        ------
        LinkError
            LINE_DOWN: the line went.
        """
        await self._rest()
        await self._wire.send(request)
        decoder = tongue.decoder()
        frames = [
            frame
            async for data in self._heard(len(request) + tongue.answer_bytes)
            for frame in decoder.feed(data)
            if frame.is_reply
        ]
        return frames, decoder.noise

    async def _hear(self, tongue: Tongue, ask: Ask, pattern: str) -> tuple[set[Met], bool]:
        """Ask for a pattern: who answered cleanly, and whether that was not all."""
        frames, noise = await self.replies(tongue, ask(pattern))
        self._step(pattern)
        met = {Met(tongue.protocol, one.address, _type_of(one)) for one in frames}
        return met, len(met) > 1 or noise > 0

    async def _answers(self, unit: int) -> bool:
        """Whether a unit says anything to the point, be it that it cannot."""
        exchange = PROBE.exchange(str(unit))
        await self._rest()
        await self._wire.send(exchange.request)
        self._step(str(unit))
        try:
            async for data in self._heard(PROBE.request_bytes + PROBE.answer_bytes):
                if isinstance(exchange.feed(data), Answer):
                    return True
        except LinkError as error:
            if error.reason == "LINE_DOWN":
                raise
            return error.reason in ALIVE
        return False

    async def _heard(self, characters: int) -> AsyncIterator[bytes]:
        """Give what comes until the time for a question and its answer is over."""
        until_ms = self._clock.steady_ms() + round(self._pace.timeout_s * 1000)
        if self._pace.baud:
            until_ms += characters * CHARACTER_BITS * 1000 // self._pace.baud
        while self._clock.steady_ms() < until_ms:
            if data := await self._wire.receive(until_ms):
                yield data

    async def _rest(self) -> None:
        """Leave the line in peace, and throw away what comes late."""
        until_ms = self._clock.steady_ms() + self._pace.pause_ms
        while self._clock.steady_ms() < until_ms:
            await self._wire.receive(until_ms)


def narrowed(pattern: str, pair: int) -> str:
    """Fix the lowest free pair of a pattern.

    >>> narrowed("AAAA61", 1)
    'AA0161'
    """
    at = len(pattern) - 2
    while pattern[at : at + 2] != ANY_PAIR:
        at -= 2
    return f"{pattern[:at]}{pair:02}{pattern[at + 2 :]}"


def _type_of(frame: dlt645.Frame | cjt188.Frame) -> int:
    return frame.meter_type if isinstance(frame, cjt188.Frame) else 0
