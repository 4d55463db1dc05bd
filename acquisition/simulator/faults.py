"""Faults on order: what a meter, or a whole line, does wrong, and from when to when.

A fault is data, so that a test, a file and a call while the fleet runs say the same thing.
Some spoil what the register shows (a pure function of the instant, whoever asks), the
others spoil the answer to a request.  Several may be in force at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import msgspec

from acquisition.simulator.wire import Answer, Refusal
from nengliu.domain.points import FOREVER_MS
from nengliu.errors import InputError


class FaultKind(StrEnum):
    """What goes wrong; the meaning of the fault's `value` stands behind each."""

    STUCK = "stuck"  # the register stays where it was, and is right again afterwards
    REVERSED = "reversed"  # the register counts backward; what it lost stays lost
    JUMP = "jump"  # the register shows `value` steps more
    ROLLOVER = "rollover"  # the register is `value` steps before its modulus when the fault begins
    RESET = "reset"  # the register starts again at 0
    CHANGE = "change"  # another meter stands there from now on; its register begins at `value` steps
    RATIO = "ratio"  # a wrong current transformer: it counts and shows a `value`-th; what it lost stays lost
    OVER = "over"  # the power register shows `value` times as much
    CLOCK = "clock"  # the meter's own clock is `value` seconds ahead
    DRIFT = "drift"  # the meter's own clock gains `value` ms an hour
    PHASE = "phase"  # phase `value` (1) has no voltage, and the status words say so
    STATUS = "status"  # status word `value` >> 16 reports the bits `value` & 0xFFFF
    BLANK = "blank"  # whatever is no counter is answered as "not available"
    DIGITS = "digits"  # the answer's values hold a digit that is none
    SILENT = "silent"  # no answer
    LATE = "late"  # the answer comes `value` ms later, in real time
    REFUSE = "refuse"  # the answer is exception `value` (4 without one)
    OTHER = "other"  # the answer carries the unit id of the meter `value` (1) further
    STALE = "stale"  # the answer carries a transaction id `value` (1) too small; on a bus the answer before comes again
    DAMAGED = "damaged"  # the answer's header announces `value` (3) bytes too many; on a bus so many bits are turned
    CUT = "cut"  # the connection is closed in the middle of the answer; on a bus its second half is missing
    DROP = "drop"  # every `value`-th (2nd) request gets no answer
    ITEM = "item"  # the answer speaks of the identifier `value` (1) further
    NOISE = "noise"  # `value` (5) bytes of noise before and behind the answer
    SPLIT = "split"  # the answer comes in three pieces, `value` (40) ms apart
    ECHO = "echo"  # the line repeats every request before the answer
    DEAD = "dead"  # the line's port is closed: nobody can connect
    STOPPED = "stopped"  # the collector does not run; whoever plays the scenario obeys
    UPLINK = "uplink"  # the collector cannot reach its centre; whoever plays the scenario obeys


REGISTER = frozenset(
    {
        FaultKind.STUCK,
        FaultKind.REVERSED,
        FaultKind.JUMP,
        FaultKind.ROLLOVER,
        FaultKind.RESET,
        FaultKind.CHANGE,
        FaultKind.RATIO,
    }
)
"""Faults of what the counter shows."""
LASTING = frozenset({FaultKind.REVERSED, FaultKind.RATIO})
"""Faults after whose end the register still lacks what it did not count."""
SERIAL = frozenset(
    {
        FaultKind.DRIFT,
        FaultKind.PHASE,
        FaultKind.STATUS,
        FaultKind.BLANK,
        FaultKind.DIGITS,
        FaultKind.ITEM,
        FaultKind.NOISE,
        FaultKind.SPLIT,
        FaultKind.ECHO,
        FaultKind.STOPPED,
        FaultKind.UPLINK,
    }
)
"""Faults that only a scene of buses plays, not the ports of a `Fleet`."""
_DEFAULTS = {
    FaultKind.REFUSE: int(Refusal.DEVICE),
    FaultKind.OTHER: 1,
    FaultKind.STALE: 1,
    FaultKind.DAMAGED: 3,
    FaultKind.DROP: 2,
    FaultKind.ITEM: 1,
    FaultKind.NOISE: 5,
    FaultKind.SPLIT: 40,
}
NEED_VALUE = frozenset(
    {
        FaultKind.JUMP,
        FaultKind.ROLLOVER,
        FaultKind.RATIO,
        FaultKind.OVER,
        FaultKind.CLOCK,
        FaultKind.DRIFT,
        FaultKind.STATUS,
        FaultKind.LATE,
    }
)
"""Faults that mean nothing without a `value`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, in force in ``[from_ms, to_ms)`` [ms, UTC of the fleet's clock].

    Parameters
    ----------
    line, meter
        Whom it strikes: a meter of a line, with `meter` empty all of the line, with both
        empty everybody.
    value
        How bad it is; `FaultKind` says in what.
    every_ms, lasts_ms
        With a period it is in force only for the first `lasts_ms` of each, counted from `from_ms`.
    """

    kind: FaultKind
    line: str = ""
    meter: str = ""
    from_ms: int = 0
    to_ms: int = FOREVER_MS
    value: int = 0
    every_ms: int = 0
    lasts_ms: int = 0

    def strikes(self, line: str, meter: str) -> bool:
        """Whether it is ordered for this meter."""
        return self.line in ("", line) and self.meter in ("", meter)

    def holds(self, at_ms: int) -> bool:
        """Whether it is in force at an instant."""
        if not self.from_ms <= at_ms < self.to_ms:
            return False
        return not self.every_ms or (at_ms - self.from_ms) % self.every_ms < self.lasts_ms


def shown(counted: Callable[[int], int], faults: Sequence[Fault], modulus: int, at_ms: int) -> int:
    """What the counter shows at an instant [steps], with the faults of its register laid on in order of time.

    Parameters
    ----------
    counted
        The register of the healthy meter before it is cut to its digits.
    faults
        Those of the meter, in force or not; faults of the answer are left aside.
    """
    for fault in sorted((f for f in faults if f.kind in REGISTER), key=lambda fault: fault.from_ms):
        counted = _spoilt(counted, fault, modulus)
    return counted(at_ms) % modulus


def _spoilt(counted: Callable[[int], int], fault: Fault, modulus: int) -> Callable[[int], int]:
    """Lay one fault over a register."""
    start_ms, end_ms = fault.from_ms, fault.to_ms

    def lasting(at_ms: int) -> int:
        seen = counted(min(at_ms, end_ms)) - counted(start_ms)
        lost = 2 * seen if fault.kind is FaultKind.REVERSED else seen - seen // fault.value
        return counted(at_ms) - lost

    def passing(at_ms: int) -> int:
        begins = {
            FaultKind.JUMP: counted(start_ms) + fault.value,
            FaultKind.ROLLOVER: modulus - fault.value,
            FaultKind.CHANGE: fault.value,
            FaultKind.STUCK: counted(start_ms),
        }.get(fault.kind, 0)
        return begins if fault.kind is FaultKind.STUCK else begins + counted(at_ms) - counted(start_ms)

    def spoilt(at_ms: int) -> int:
        if at_ms < start_ms:
            return counted(at_ms)
        if fault.kind in LASTING:
            return lasting(at_ms)
        return counted(at_ms) if at_ms >= end_ms else passing(at_ms)

    return spoilt


def default_value(kind: FaultKind) -> int:
    """Give the value of a fault that was ordered without one."""
    return _DEFAULTS.get(kind, 0)


def spoil(answer: Answer, faults: Sequence[Fault], number: int) -> Answer:
    """Lay the faults in force over the answer to a meter's request `number` (counted from 1)."""
    for fault in faults:
        value = fault.value or default_value(fault.kind)
        if fault.kind is FaultKind.SILENT or (fault.kind is FaultKind.DROP and number % value == 0):
            answer = replace(answer, silent=True)
        elif fault.kind is FaultKind.LATE:
            answer = replace(answer, delay_ms=answer.delay_ms + value)
        elif fault.kind is FaultKind.REFUSE:
            answer = replace(answer, words=Refusal(value))
        elif fault.kind is FaultKind.CUT:
            answer = replace(answer, cut=True)
        else:
            answer = _misheaded(answer, fault.kind, value)
    return answer


def _misheaded(answer: Answer, kind: FaultKind, value: int) -> Answer:
    """Lay a fault of the header over an answer."""
    if kind is FaultKind.OTHER:
        return replace(answer, unit_by=answer.unit_by + value)
    if kind is FaultKind.STALE:
        return replace(answer, transaction_by=answer.transaction_by - value)
    if kind is FaultKind.DAMAGED:
        return replace(answer, length_by=answer.length_by + value)
    return answer


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """One ``[[faults]]`` of a file: the interval in ms since 1970, or in seconds since the fleet's start.

    With `every_s` it comes back in each such period, and `for_s` is how long it lasts then.
    """

    kind: FaultKind
    line: str = ""
    meter: str = ""
    value: int = 0
    from_ms: int | None = None
    to_ms: int | None = None
    after_s: float | None = None
    for_s: float | None = None
    every_s: float | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    faults: list[_Told]


def read_faults(file: Path, start_ms: int) -> tuple[Fault, ...]:
    """Read faults from a TOML file.

    Parameters
    ----------
    start_ms
        Instant from which `after_s` counts [ms, UTC].

    Raises
    ------
    InputError
        The file cannot be read, is no TOML, or holds what no fault has.
    """
    try:
        told = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(
            f"{file}: expected TOML, [[faults]] with kind ({', '.join(FaultKind)}), line, meter, value,"
            f" from_ms/to_ms or after_s/for_s, and every_s; got {error}"
        ) from error
    return tuple(_fault(f"{file}: fault {n}", one, start_ms) for n, one in enumerate(told.faults, 1))


def _fault(where: str, told: _Told, start_ms: int) -> Fault:
    _check(where, told)
    from_ms = told.from_ms if told.from_ms is not None else 0
    if told.after_s is not None:
        from_ms = start_ms + round(told.after_s * 1000)
    to_ms = told.to_ms if told.to_ms is not None else FOREVER_MS
    if told.every_s is not None:
        every_ms, lasts_ms = round(told.every_s * 1000), round((told.for_s or 0) * 1000)
        if told.kind in REGISTER or not 0 < lasts_ms < every_ms:
            raise InputError(
                f"{where}: every_s needs a shorter for_s and a fault of the answer; got {told.kind},"
                f" every {told.every_s} s for {told.for_s} s"
            )
        return Fault(told.kind, told.line, told.meter, from_ms, to_ms, told.value, every_ms, lasts_ms)
    if told.for_s is not None:
        to_ms = max(from_ms, start_ms) + round(told.for_s * 1000)
    if to_ms <= from_ms:
        raise InputError(f"{where}: expected an end after the beginning, got {from_ms} to {to_ms} [ms]")
    return Fault(told.kind, told.line, told.meter, from_ms, to_ms, told.value)


def _check(where: str, told: _Told) -> None:
    """Refuse what no fleet can play."""
    if told.kind in SERIAL:
        raise InputError(f"{where}: {told.kind} needs a scenario; play it by `nengliu simulate fleet`")
    if told.kind in NEED_VALUE and not told.value:
        raise InputError(f"{where}: {told.kind} needs a value other than 0; say how bad it is")
    if told.kind is FaultKind.REFUSE and told.value and told.value not in set(Refusal):
        codes = ", ".join(str(int(code)) for code in Refusal)
        raise InputError(f"{where}: expected the code of an exception, one of {codes}; got {told.value}")
