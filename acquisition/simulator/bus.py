"""A half-duplex line with meters on it: bytes in, bytes out, each at its time, whatever carries them.

The bus has no task and no clock of its own: it is told what the master sends and when, and
says which bytes come back and when.  So the same line runs in memory in virtual time, on a
TCP port and on a pseudo-terminal.  A character takes 11 bits; two that speak at once spoil each other.
Source: DL/T 645-2007 (11 bits a character); MODBUS over Serial Line V1.02; protocols 1.1, 5.2.
"""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from acquisition.simulator.faults import Fault, FaultKind, default_value
from acquisition.simulator.moment import Moment
from acquisition.simulator.station import Ear, Heard, Manner, Reply, Station

CHARACTER_BITS = 11
FORGET_MS = 500
"""Silence after which the beginning of a request counts for nothing.  Source: protocols 1.1 (gap inside a frame)."""
COLLISION = "collision"
"""Said of an answer that ran into what somebody else said."""
PIECE_MS = 40
"""An answer arrives in pieces of so long a time, as a serial driver hands them over (ours)."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a line is.

    Parameters
    ----------
    baud
        0: bytes take no time.
    reply_ms
        Shortest and longest time a meter takes to answer [ms].
    piece_ms
        Length of the pieces in which an answer arrives [ms]; 0: whole.
    """

    baud: int = 0
    reply_ms: tuple[int, int] = (20, 20)
    piece_ms: int = PIECE_MS

    def takes_ms(self, size: int) -> float:
        """Time so many bytes take [ms]."""
        return size * CHARACTER_BITS * 1000 / self.baud if self.baud else 0.0

    @property
    def piece(self) -> int:
        """Bytes of one piece; 0: all."""
        if not self.baud or not self.piece_ms:
            return 0
        return max(1, int(self.piece_ms * self.baud / CHARACTER_BITS / 1000))


@dataclass(frozen=True, slots=True)
class Told:
    """One request that reached a meter, and what became of its answer: a row of the truth log.

    Parameters
    ----------
    asked_ms
        When the request was whole [ms, UTC].
    sent_ms
        When the answer was whole [ms, UTC]; 0 if none was sent.
    faults
        Kinds of the meter's faults in force, and COLLISION if somebody else spoke, joined by ``;``.
    """

    line: str
    meter: str
    asked_ms: int
    sent_ms: int
    request: bytes
    sent: bytes
    reply: Reply
    faults: str


@dataclass(slots=True)
class _Speech:
    """Bytes on the line from one instant to another [ms of the line]."""

    from_ms: float
    to_ms: float
    data: bytearray
    asker: object


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of what is said, and when it has arrived; its bytes may still be spoilt."""

    at_ms: float
    speech: _Speech
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How a line works, beside its meters.

    Parameters
    ----------
    rate
        How many ms of the meters pass in one ms of the line.
    faults
        Those of the scene; the line takes its own.
    tell
        Takes what becomes of every request.
    is_private
        Each master hears only the answers to what it asked, as over Modbus TCP.
    """

    speed: Speed = Speed()
    seed: int = 0
    rate: float = 1.0
    faults: Sequence[Fault] = ()
    tell: Callable[[Told], None] | None = None
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that goes to a meter: when it was whole on the line and for the meter, and what goes wrong then."""

    station: Station
    heard: Heard
    line_ms: float
    now_ms: int
    asker: object
    faults: tuple[Fault, ...]


class Bus:
    """A line and its meters.

    Parameters
    ----------
    clock
        Gives the time of the meters [ms, UTC].
    """

    def __init__(
        self, name: str, stations: Sequence[Station], clock: Callable[[], int], terms: Terms = Terms()
    ) -> None:
        self.name, self.stations, self.clock, self.terms = name, tuple(stations), clock, terms
        self.asked: Counter[str] = Counter()
        self.obey(terms.faults)
        self._ears = {station.ear: None for station in stations}
        self._lines: dict[tuple[Ear, object], bytearray] = {}
        self._heard_ms = -math.inf
        self._speeches: list[_Speech] = []
        self._pieces: list[_Piece] = []
        self._last: dict[str, bytes] = {}
        self._done_ms: dict[str, float] = {}

    def obey(self, faults: Sequence[Fault]) -> None:
        """Take the faults of the scene; those before count no more."""
        self._faults = [fault for fault in faults if fault.line in ("", self.name)]
        self._of = {
            one.name: [f for f in self._faults if f.strikes(self.name, one.name)] for one in self.stations
        }

    def moment(self, station: Station, at_ms: int) -> Moment:
        """Give what a meter shows at an instant."""
        return Moment(station.meter, at_ms, self._of[station.name], station.set_by_ms)

    @property
    def is_dead(self) -> bool:
        """Whether the port is gone now."""
        return self._has(FaultKind.DEAD, self.clock())

    # -- what the master says -----------------------------------------------------------------

    def hear(self, data: bytes, at_ms: int, asker: object = None) -> None:
        """Take what a master sends.

        Parameters
        ----------
        at_ms
            Time of the line [ms]; never less than at the call before.
        asker
            Who sends it; comes back with the answer.
        """
        from_ms = max(float(at_ms), self._heard_ms)
        said = _Speech(from_ms, from_ms + self.terms.speed.takes_ms(len(data)), bytearray(data), asker)
        if from_ms - self._heard_ms > FORGET_MS:
            self._lines.clear()
        self._heard_ms = said.to_ms
        now_ms = self.clock() + round((said.to_ms - at_ms) * self.terms.rate)
        if self._has(FaultKind.ECHO, now_ms):
            self._pieces_of(_Speech(said.from_ms, said.to_ms, bytearray(data), asker))
        self._collide(said)
        for ear in self._ears:
            line = self._lines.setdefault((ear, asker if self.terms.is_private else None), bytearray())
            line += said.data
            for heard in ear.hear(line):
                for station in self.stations:
                    if station.ear is ear and station.is_meant(heard):
                        self._answer(station, heard, said, now_ms)

    def speak(self, at_ms: int) -> list[tuple[bytes, object]]:
        """Give the bytes that have arrived since the call before, each with its asker."""
        found: list[tuple[bytes, object]] = []
        while self._pieces and self._pieces[0].at_ms <= at_ms:
            piece = self._pieces.pop(0)
            data, asker = bytes(piece.speech.data[piece.start : piece.stop]), piece.speech.asker
            if found and found[-1][1] is asker:
                found[-1] = found[-1][0] + data, asker
            else:
                found.append((data, asker))
        return found

    @property
    def next_ms(self) -> int | None:
        """When the next bytes arrive [ms of the line]; None: nobody speaks."""
        return math.ceil(self._pieces[0].at_ms) if self._pieces else None

    def hush(self) -> None:
        """Forget what was on its way: the port was closed."""
        self._pieces.clear()
        self._speeches.clear()
        self._lines.clear()

    def leave(self, asker: object) -> None:
        """Forget what a master of a private line began to say."""
        for ear in self._ears:
            self._lines.pop((ear, asker), None)

    # -- what the meters say ------------------------------------------------------------------

    def _answer(self, station: Station, heard: Heard, said: _Speech, now_ms: int) -> None:
        self.asked[station.name] += 1
        faults = tuple(fault for fault in self._of[station.name] if fault.holds(now_ms))
        reply = station.answer(heard, self.moment(station, now_ms), _manner(faults))
        if reply is not None:
            self._say(_Call(station, heard, said.to_ms, now_ms, said.asker, faults), reply)

    def _say(self, call: _Call, reply: Reply) -> None:
        """Put an answer on the line, with all that goes wrong with it, and tell of it."""
        name = call.station.name
        chance = random.Random(f"{self.terms.seed}/{self.name}/{name}/{self.asked[name]}")  # noqa: S311 (no secret)
        late_ms = sum(fault.value for fault in call.faults if fault.kind is FaultKind.LATE)
        parts = _spoilt(reply.frame, call.faults, (self.asked[name], self._last.get(name, b"")), chance)
        self._last[name] = reply.frame
        at_ms = call.line_ms + chance.randint(*self.terms.speed.reply_ms) + late_ms
        at_ms = max(at_ms, self._done_ms.get(name, 0.0))  # a meter says one answer after the other
        sent = bytearray()
        for data, pause_ms in parts:
            speech = _Speech(at_ms, at_ms + self.terms.speed.takes_ms(len(data)), bytearray(data), call.asker)
            self._collide(speech)
            self._pieces_of(speech)
            at_ms = speech.to_ms + pause_ms
            sent += speech.data
        self._done_ms[name] = at_ms
        if self.terms.tell is not None:
            sent_ms = call.now_ms + round((at_ms - call.line_ms) * self.terms.rate) if parts else 0
            kinds = {str(fault.kind) for fault in call.faults}
            if sent != b"".join(data for data, _ in parts):
                kinds.add(COLLISION)
            told = Told(
                self.name,
                name,
                call.now_ms,
                sent_ms,
                call.heard.raw,
                bytes(sent),
                reply,
                ";".join(sorted(kinds)),
            )
            self.terms.tell(told)

    def _collide(self, speech: _Speech) -> None:
        """Spoil what is said while somebody else speaks, on both sides."""
        self._speeches = [one for one in self._speeches if one.to_ms > speech.from_ms - 2000]
        for other in self._speeches:
            if other.from_ms < speech.to_ms and speech.from_ms < other.to_ms:
                _garble(other, speech)
                _garble(speech, other)
        if self.terms.speed.baud:
            self._speeches.append(speech)

    def _pieces_of(self, speech: _Speech) -> None:
        """Cut what is said into the pieces in which it arrives."""
        size = self.terms.speed.piece or max(len(speech.data), 1)
        for start in range(0, len(speech.data), size):
            stop = min(start + size, len(speech.data))
            piece = _Piece(speech.from_ms + self.terms.speed.takes_ms(stop), speech, start, stop)
            bisect.insort(self._pieces, piece, key=lambda one: one.at_ms)

    def _has(self, kind: FaultKind, at_ms: int) -> bool:
        return any(fault.kind is kind and fault.holds(at_ms) for fault in self._faults if not fault.meter)


def _garble(one: _Speech, other: _Speech) -> None:
    """Spoil the bytes of one that overlap with the other."""
    length = one.to_ms - one.from_ms
    if not length:
        return
    each = length / len(one.data)
    first = max(int((other.from_ms - one.from_ms) / each), 0)
    last = min(math.ceil((other.to_ms - one.from_ms) / each), len(one.data))
    for place in range(first, last):
        one.data[place] ^= 0x5A


def _manner(faults: Sequence[Fault]) -> Manner:
    """Gather the faults of answers whose checksum is right."""
    value = {fault.kind: fault.value or default_value(fault.kind) for fault in faults}
    return Manner(
        refuse=value.get(FaultKind.REFUSE),
        address_by=value.get(FaultKind.OTHER, 0),
        item_by=value.get(FaultKind.ITEM, 0),
        digits=FaultKind.DIGITS in value,
    )


def _spoilt(
    frame: bytes, faults: Sequence[Fault], history: tuple[int, bytes], chance: random.Random
) -> list[tuple[bytes, float]]:
    """Lay the faults of the line over an answer.

    Parameters
    ----------
    history
        How many requests the meter has heard, and its answer before this one.

    Returns
    -------
    list of (bytes, float)
        The parts that are sent, each with the pause behind it [ms]; nothing if it is silent.
    """
    number, last = history
    value = {fault.kind: fault.value or default_value(fault.kind) for fault in faults}
    if FaultKind.SILENT in value or number % value.get(FaultKind.DROP, number + 1) == 0:
        return []
    if FaultKind.STALE in value and last:
        frame = last
    if FaultKind.DAMAGED in value:
        frame = damaged(frame, value[FaultKind.DAMAGED], chance)
    if FaultKind.CUT in value:
        frame = frame[: len(frame) // 2]
    if FaultKind.NOISE in value:
        noise = value[FaultKind.NOISE]
        frame = chance.randbytes(noise) + frame + chance.randbytes(noise)
    if FaultKind.SPLIT in value and len(frame) > 2:
        third = -(-len(frame) // 3)
        pause_ms = float(value[FaultKind.SPLIT])
        parts = [frame[start : start + third] for start in range(0, len(frame), third)]
        return [(part, pause_ms) for part in parts[:-1]] + [(parts[-1], 0.0)]
    return [(frame, 0.0)]


def damaged(frame: bytes, count: int, chance: random.Random) -> bytes:
    """Turn a bit in so many bytes behind the wake-up, at least one, so that the check cannot but fail.

    A sum of eight bits lets one damage in some hundreds pass; on such a line nobody could say what is true.
    """
    start = len(frame) - len(frame.lstrip(b"\xfe"))
    while True:
        told = bytearray(frame)
        for place in chance.sample(range(start, len(frame)), min(max(count, 1), len(frame) - start)):
            told[place] ^= 1 << chance.randrange(8)
        if _sum_of(told[start:]) != _sum_of(frame[start:]):
            return bytes(told)


def _sum_of(frame: bytes | bytearray) -> int:
    """What a sum check compares: the sum of the frame less the sum it bears, and the end."""
    return (sum(frame[:-2]) - frame[-2]) & 0xFF
