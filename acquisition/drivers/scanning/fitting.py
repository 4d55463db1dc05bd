"""Which map fits a meter: it is asked for what each map says it has, and the answers are judged by what a grid can be.

A Modbus meter does not say what it is.  Read by a wrong map it refuses, or shows a frequency of
3 million Hz; read by the right one it shows 50.  A meter that fits several maps alike is told so.
Source: ranges of `items.csv` (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from acquisition.codecs.exchange import Block, Item
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.meters.catalogue import MeterItem, meter_items
from acquisition.drivers.meters.meter_maps import MeterMap
from nengliu.domain.units import factor
from nengliu.errors import LinkError

FITS = Decimal("0.6")
"""A map of which so much is plausible fits: a phase may be dead, a factor unknown."""
SILENT = ("TIMEOUT", "DAMAGED", "MISMATCH")


@dataclass
class Reading:
    """What reading some items once brought: values [ticks], what is lost, the last answer as it came."""

    values: dict[str, int] = field(default_factory=dict)
    lost: dict[str, LinkError] = field(default_factory=dict)
    raw: bytes = b""


@dataclass(frozen=True)
class Fit:
    """How well a map reads a meter.

    Parameters
    ----------
    values, lost
        What it read [ticks], and what it could not, by item.
    plausible, judged
        How many items were as a healthy meter shows them, of how many that can be judged.
    raw
        The last answer as it came; empty where it has no frame to show.
    """

    map: MeterMap
    values: Mapping[str, int]
    lost: Mapping[str, LinkError]
    plausible: int
    judged: int
    raw: bytes = b""

    @property
    def share(self) -> Decimal:
        """What part of it is plausible."""
        return Decimal(self.plausible) / self.judged

    @property
    def score(self) -> int:
        """How many items more are plausible than are not: a larger map that is right beats its part."""
        return 2 * self.plausible - self.judged

    def rank(self) -> tuple[int, int, int]:
        """Order fits, the best first: score, none lost, most read."""
        return -self.score, len(self.lost), -len(self.values)

    def is_as_good(self, other: Fit) -> bool:
        """Whether nothing that was read tells two fits apart."""
        return self.rank()[:2] == other.rank()[:2]


async def fits(
    transport: Transport, address: str, maps: Iterable[MeterMap], step: Callable[[str], None]
) -> list[Fit]:
    """Read a meter by each map, and give those that fit, the best first.

    Raises
    ------
    LinkError
        LINE_DOWN: the line went.
    """
    found: list[Fit] = []
    for one in maps:
        fit = await _signature(transport, address, one)
        step(one.name)
        if fit.share >= FITS:
            found.append(fit)
    found.sort(key=Fit.rank)
    best = [fit for fit in found if fit.score == found[0].score]
    whole = [await read_whole(transport, address, fit.map) for fit in best]
    return sorted(whole, key=Fit.rank) + found[len(best) :]


async def read_whole(transport: Transport, address: str, plan: MeterMap) -> Fit:
    """Read all that a map has; LinkError LINE_DOWN if the line goes."""
    judged = _judged(plan.items) or plan.items
    return _fit(plan, await _read(transport, address, plan, plan.items), judged)


async def _signature(transport: Transport, address: str, plan: MeterMap) -> Fit:
    """Read what can be judged, or all if nothing can."""
    judged = _judged(plan.items) or plan.items
    return _fit(plan, await _read(transport, address, plan, judged), judged)


async def _read(transport: Transport, address: str, plan: MeterMap, items: Sequence[Item]) -> Reading:
    """Read items once; a request that is refused is split, and silence ends it."""
    found = Reading()
    waiting = list(plan.blocks(items))
    while waiting:
        block = waiting.pop(0)
        try:
            answer = await transport.ask(address, block)
        except LinkError as error:
            if error.reason == "LINE_DOWN":
                raise
            parts = () if error.reason in SILENT else block.split()
            if len(parts) > 1:
                waiting = [*parts, *waiting]
                continue
            found.lost |= _names(block, error)
            if error.reason in SILENT:
                found.lost |= {name: error for rest in waiting for name in _names(rest, error)}
                break
        else:
            found.values |= answer.values
            found.lost |= answer.lost
            found.raw = answer.raw or found.raw
    return found


def _names(block: Block, error: LinkError) -> dict[str, LinkError]:
    return {item.name: error for item in block.items}


def _judged(items: Iterable[Item]) -> list[Item]:
    known = meter_items()
    return [one for one in items if one.name in known and known[one.name].low is not None]


def _fit(plan: MeterMap, found: Reading, judged: Sequence[Item]) -> Fit:
    known, values = meter_items(), found.values
    good = sum(
        one.name in values and _plausible(one, values[one.name], known.get(one.name)) for one in judged
    )
    return Fit(plan, values, found.lost, good, len(judged), found.raw)


def _plausible(item: Item, ticks: int, told: MeterItem | None) -> bool:
    """Whether a healthy meter would show it."""
    if told is None or told.low is None or told.high is None:
        return True
    value = Decimal(ticks).scaleb(-item.decimals)
    ratio = factor(item.unit, told.unit)
    return told.low <= value * ratio.numerator / ratio.denominator <= told.high
