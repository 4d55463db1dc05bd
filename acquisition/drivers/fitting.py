"""Which map fits a meter: it is asked for what each map says it has, and the answers are judged by what a grid can be.

A Modbus meter does not say what it is.  Read by a wrong map it refuses, or shows a frequency of
3 million Hz; read by the right one it shows 50.  A meter that fits several maps alike is told so.
Source: ranges of `items.csv` (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from acquisition.codecs.exchange import Block, Item
from acquisition.drivers.catalogue import MeterItem, meter_items
from acquisition.drivers.meter_maps import MeterMap
from acquisition.drivers.transport import Transport
from nengliu.domain.units import factor
from nengliu.errors import LinkError

FITS = Decimal("0.6")
"""A map of which so much is plausible fits: a phase may be dead, a factor unknown."""
SILENT = ("TIMEOUT", "DAMAGED", "MISMATCH")


@dataclass(frozen=True)
class Fit:
    """How well a map reads a meter.

    Parameters
    ----------
    values, lost
        What it read [ticks], and what it could not, by item.
    plausible, judged
        How many items were as a healthy meter shows them, of how many that can be judged.
    """

    map: MeterMap
    values: Mapping[str, int]
    lost: Mapping[str, LinkError]
    plausible: int
    judged: int

    @property
    def share(self) -> Decimal:
        """What part of it is plausible."""
        return Decimal(self.plausible) / self.judged

    def rank(self) -> tuple[Decimal, int, int, int]:
        """Order fits, the best first: plausible share, items judged, none lost, most read."""
        return -self.share, -self.judged, len(self.lost), -len(self.values)


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
    best = [fit for fit in found if fit.share == found[0].share and fit.judged == found[0].judged]
    whole = [await _whole(transport, address, fit) for fit in best]
    return sorted(whole, key=Fit.rank) + found[len(best) :]


async def _signature(transport: Transport, address: str, plan: MeterMap) -> Fit:
    """Read what can be judged, or all if nothing can."""
    judged = _judged(plan.items) or plan.items
    values, lost = await read_items(transport, address, plan, judged)
    return _fit(plan, values, lost, judged)


async def _whole(transport: Transport, address: str, fit: Fit) -> Fit:
    """Read the rest of a map as well."""
    judged = _judged(fit.map.items) or fit.map.items
    rest = [one for one in fit.map.items if one.name not in fit.values | fit.lost.keys()]
    values, lost = await read_items(transport, address, fit.map, rest)
    return _fit(fit.map, {**fit.values, **values}, {**fit.lost, **lost}, judged)


async def read_items(
    transport: Transport, address: str, plan: MeterMap, items: Sequence[Item]
) -> tuple[dict[str, int], dict[str, LinkError]]:
    """Read items once; a request that is refused is split, and silence ends it."""
    values: dict[str, int] = {}
    lost: dict[str, LinkError] = {}
    waiting = list(plan.blocks(items))
    while waiting:
        block = waiting.pop(0)
        try:
            answer = await transport.ask(address, block)
        except LinkError as error:
            if error.reason == "LINE_DOWN":
                raise
            parts = [] if error.reason in SILENT else block.split()
            if len(parts) > 1:
                waiting = [*parts, *waiting]
                continue
            lost |= _names(block, error)
            if error.reason in SILENT:
                lost |= {name: error for rest in waiting for name in _names(rest, error)}
                break
        else:
            values |= answer.values
            lost |= answer.lost
    return values, lost


def _names(block: Block, error: LinkError) -> dict[str, LinkError]:
    return {item.name: error for item in block.items}


def _judged(items: Iterable[Item]) -> list[Item]:
    known = meter_items()
    return [one for one in items if one.name in known and known[one.name].low is not None]


def _fit(
    plan: MeterMap, values: Mapping[str, int], lost: Mapping[str, LinkError], judged: Sequence[Item]
) -> Fit:
    known = meter_items()
    good = sum(one.name in values and _plausible(one, values[one.name], known.get(one.name)) for one in judged)
    return Fit(plan, values, lost, good, len(judged))


def _plausible(item: Item, ticks: int, told: MeterItem | None) -> bool:
    """Whether a healthy meter would show it."""
    if told is None or told.low is None or told.high is None:
        return True
    value = Decimal(ticks).scaleb(-item.decimals)
    ratio = factor(item.unit, told.unit)
    return told.low <= value * ratio.numerator / ratio.denominator <= told.high
