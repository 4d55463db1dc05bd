"""A scenario of buses, as its file writes it: lines, meters, and what goes wrong when.

A fault tells its class, and which words of the collector are acceptable evidence of it, so
that whoever plays the scenario can hold every fault against what was seen.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from acquisition.simulator.faults import NEED_VALUE, REGISTER, Fault, FaultKind
from acquisition.simulator.moment import panel
from nengliu.domain.links import LinkKind
from nengliu.domain.points import FOREVER_MS
from nengliu.domain.quality import Reason
from nengliu.errors import InputError, nearest

CLASSES = ("link", "meter", "configuration", "power", "collector", "uplink")
KINDS = ("serial", "serial-tcp", "modbus-tcp")
SHORTEST_S = 15
"""Least time between two readings of a meter when a scenario is played faster (ours): a line at 2400 baud holds it."""
_FRAMED = frozenset({FaultKind.BLANK, FaultKind.DIGITS})
_EVIDENCE = frozenset(LinkKind.__members__) | frozenset(Reason.__members__)


class MeterTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[[lines.meters]]`: a meter, or `count` of them with names and addresses that count on."""

    name: str
    protocol: str
    address: str
    items: list[str]
    count: int = 1
    carrier: str = ""
    map: str = ""
    interval_s: int = 0
    frozen: bool = False
    options: dict[str, Any] = {}


class LineTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[[lines]]`: how a line is reached, how fast it is, and its meters."""

    name: str
    meters: list[MeterTable]
    kind: str = "serial"
    baud: int = 2400
    reply_ms: tuple[int, int] = (20, 120)
    timeout_s: float = 1.0
    pause_ms: int = 20


class FaultTable(msgspec.Struct, forbid_unknown_fields=True, rename={"cls": "class"}):
    """`[[faults]]`: what goes wrong, from `after_s` of the scenario on, for `for_s` or for good."""

    id: str
    kind: FaultKind
    cls: str
    after_s: int = 0
    for_s: int = 0
    line: str = ""
    meter: str = ""
    value: int = 0
    evidence: list[str] = []


class SceneFile(msgspec.Struct, forbid_unknown_fields=True):
    """A whole scenario; whoever plays it says when it begins."""

    name: str
    duration_s: int
    lines: list[LineTable]
    faults: list[FaultTable] = []
    interval_s: int = 60


@dataclass(frozen=True, slots=True)
class Ordered:
    """A fault with its number in the scenario, its class, and the words that are evidence of it.

    Parameters
    ----------
    evidence
        Names of link events or of reasons, any of which is enough; none: only the readings show it.
    """

    id: str
    fault: Fault
    cls: str
    evidence: tuple[str, ...]


def load_scene(told: str | Path) -> SceneFile:
    """Read a scenario: a file, or the name of one that is shipped.

    Raises
    ------
    InputError
        Unreadable, an unknown key or word, or something that cannot be: the message names it.
    """
    where, text = _text(told)
    try:
        scene = msgspec.convert(tomllib.loads(text), SceneFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(
            f"{where}: expected a scenario with [[lines]] and [[faults]]; got {error}"
        ) from error
    _check(scene, where)
    return scene


def shrunk(scene: SceneFile, factor: int) -> SceneFile:
    """Play a scenario so many times as fast: its times shorter, what goes with time accordingly.

    The lines keep their speed and answer as slowly as before; meters are asked at most every
    `SHORTEST_S` seconds.
    """

    def faster(told: FaultTable) -> FaultTable:
        value = told.value
        if told.kind is FaultKind.DRIFT:
            value *= factor
        elif told.kind is FaultKind.ROLLOVER:
            value = max(value // factor, 1)
        return replace(told, after_s=told.after_s // factor, for_s=told.for_s // factor, value=value)

    interval_s = max(scene.interval_s // factor, SHORTEST_S)
    faults = [faster(told) for told in scene.faults]
    return replace(scene, duration_s=scene.duration_s // factor, interval_s=interval_s, faults=faults)


def on_ptys(scene: SceneFile) -> SceneFile:
    """Put the lines behind converters on serial ports of this machine."""
    lines = [replace(one, kind="serial") if one.kind == "serial-tcp" else one for one in scene.lines]
    return replace(scene, lines=lines)


def ordered(scene: SceneFile, start_ms: int) -> tuple[Ordered, ...]:
    """Lay the faults out from an instant on [ms, UTC]."""
    return tuple(
        Ordered(told.id, _fault(told, start_ms), told.cls, tuple(told.evidence)) for told in scene.faults
    )


def _fault(told: FaultTable, start_ms: int) -> Fault:
    from_ms = start_ms + told.after_s * 1000
    to_ms = from_ms + told.for_s * 1000 if told.for_s else FOREVER_MS
    return Fault(told.kind, told.line, told.meter, from_ms, to_ms, told.value)


def _text(told: str | Path) -> tuple[str, str]:
    shipped = resources.files(__package__).joinpath("scenarios", f"{told}.toml")
    try:
        if isinstance(told, str) and shipped.is_file():
            return f"scenario {told}", shipped.read_text(encoding="utf-8")
        return str(told), Path(told).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{told}: expected a scenario file, or forty; got {error}") from error


def _check(scene: SceneFile, where: str) -> None:
    names = {line.name: _names(line) for line in scene.lines}
    _need(len(names) == len(scene.lines), where, "two lines have one name")
    _need(scene.duration_s > 0, where, "duration_s: expected seconds")
    for line in scene.lines:
        _check_line(line, f"{where} line {line.name}")
    _need(len({one.id for one in scene.faults}) == len(scene.faults), where, "two faults have one id")
    for told in scene.faults:
        _check_fault(told, names, scene, f"{where} fault {told.id}")


def _check_line(line: LineTable, where: str) -> None:
    _need(line.kind in KINDS, where, f"kind: unknown {line.kind!r}; {nearest(line.kind, KINDS)}")
    _need(line.meters, where, "expected at least one [[lines.meters]]")
    low_ms, high_ms = line.reply_ms
    _need(0 <= low_ms <= high_ms, where, f"reply_ms: expected [shortest, longest], got {line.reply_ms}")
    _need(line.baud > 0 or line.kind != "serial", where, f"baud: expected a speed, got {line.baud}")
    for meter in line.meters:
        told = f"{where} meter {meter.name}"
        is_tcp = meter.protocol == "modbus-tcp"
        _need(is_tcp == (line.kind == "modbus-tcp"), told, f"protocol {meter.protocol} on a line {line.kind}")
        _need(meter.items, told, "items: expected at least one")
        for item in meter.items:
            _need(item in panel(), told, f"items: unknown {item!r}; {nearest(item, panel())}")
    _need(len(_names(line)) == sum(m.count for m in line.meters), where, "two meters have one name")


def _names(line: LineTable) -> dict[str, str]:
    """Names of a line's meters, and the protocol of each."""
    return {name: told.protocol for told in line.meters for name in meter_names(told)}


def meter_names(told: MeterTable) -> list[str]:
    """Names of the meters of a table: its own, or with numbers behind it."""
    if told.count == 1:
        return [told.name]
    return [f"{told.name}{number:0{len(str(told.count))}}" for number in range(1, told.count + 1)]


def _check_fault(told: FaultTable, names: dict[str, dict[str, str]], scene: SceneFile, where: str) -> None:
    _need(told.cls in CLASSES, where, f"class: unknown {told.cls!r}; {nearest(told.cls, CLASSES)}")
    _need(told.line in ("", *names), where, f"line: unknown {told.line!r}; {nearest(told.line, names)}")
    meters = names.get(told.line, {})
    _need(told.meter in ("", *meters), where, f"meter: unknown {told.meter!r}; {nearest(told.meter, meters)}")
    _need(told.kind not in REGISTER or told.meter, where, f"{told.kind} strikes one meter; name it")
    _need(told.value or told.kind not in NEED_VALUE, where, f"{told.kind} needs a value other than 0")
    _need(0 <= told.after_s < scene.duration_s, where, f"after_s: expected 0 to {scene.duration_s}")
    framed = told.kind not in _FRAMED or not meters.get(told.meter, "modbus").startswith("modbus")
    _need(framed, where, f"{told.kind} is for one DL/T 645 or CJ/T 188 meter; Modbus has no way to say it")
    for name in told.evidence:
        _need(name in _EVIDENCE, where, f"evidence: unknown {name!r}; {nearest(name, _EVIDENCE)}")


def _need(holds: object, where: str, told: str) -> None:
    if not holds:
        raise InputError(f"{where}: {told}")
