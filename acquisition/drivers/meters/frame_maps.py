"""Maps of meters whose answers are frames of their own: DL/T 645 and CJ/T 188.

A map of DL/T 645 lists the data identifiers that are asked, blocks (``..FF..``) before single ones; what an
identifier holds is the codec's to know.  A map of CJ/T 188 is a profile of the vendor's habits.
`examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from acquisition.codecs import cjt188_blocks
from acquisition.codecs.cjt188_profiles import Profile, profile
from acquisition.codecs.dlt645_steps import block
from acquisition.codecs.exchange import Block, Item
from acquisition.drivers.lines.half_duplex import FramedBlock
from acquisition.drivers.tables import convert, need, once
from nengliu.errors import InputError

FROZEN = "_frozen"
"""What the codec puts behind the name of an item whose frozen value it is."""
DEPTH = 254
"""Hours that a meter keeps, if its map does not say.  Source: DL/T 645-2007 annex A (05 04 ii 01 to FE)."""


@dataclass(frozen=True, slots=True)
class HourlyFrozen:
    """What a meter freezes at every hour: identifiers, to which how many hours back is added.

    Parameters
    ----------
    stems
        By item, the identifier without its last byte.
    """

    protocol: str
    stems: dict[str, str]
    depth: int

    def items(self) -> tuple[str, ...]:
        """Which items it freezes."""
        return tuple(self.stems)

    def blocks(self, items: Sequence[str], back: int) -> tuple[Block, ...]:
        """Give the requests for what it froze `back` hours ago, 1 the newest; their answers bear the hour."""
        stems: dict[str, list[str]] = {}
        for name in items:
            stems.setdefault(self.stems[name], []).append(name + FROZEN)
        return tuple(block(self.protocol, f"{stem}{back:02X}", tuple(names)) for stem, names in stems.items())


@dataclass(frozen=True)
class FrameMap:
    """How a model of meter is read.

    Parameters
    ----------
    sources
        What is asked, in the order in which it is preferred: for wanted items the block, and the items it holds.
    upkeep
        What is asked hourly: clock and status words.
    """

    name: str
    title: str
    source: str
    verified: bool
    protocol: str
    items: tuple[Item, ...]
    sources: tuple[tuple[Callable[[tuple[str, ...]], Block], tuple[str, ...]], ...]
    upkeep: tuple[Block, ...]
    frozen: HourlyFrozen | None = None

    def blocks(self, items: Sequence[Item]) -> tuple[Block, ...]:
        """Give the requests that read these, each item by the first that holds it."""
        left = {item.name for item in items}
        found: list[Block] = []
        for make, held in self.sources:
            wanted = tuple(name for name in held if name in left)
            if wanted:
                found.append((len(wanted) == 1 and _alone(make(()), wanted[0])) or make(wanted))
                left -= set(wanted)
        return tuple(found)

    def check_address(self, address: str) -> None:
        """Refuse what is no address of this protocol; InputError."""
        asked: Any = self.sources[0][0](())
        framed: FramedBlock = asked
        framed.exchange(address)


class _Block(msgspec.Struct, forbid_unknown_fields=True):
    identifier: str
    items: tuple[str, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    source: str
    protocol: str
    verified: bool = False
    blocks: list[_Block] = []
    frozen: list[str] = []
    frozen_depth: int = DEPTH
    clock: str = ""
    status: list[str] = []
    profile: dict[str, Any] = {}


_KNOWN = (*_File.__struct_fields__, *_Block.__struct_fields__)


def read_map(name: str, table: dict[str, Any], where: str) -> FrameMap:
    """Check a map file of frames; InputError names what is wrong."""
    told = convert(table, _File, where, _KNOWN)
    need(1 <= told.frozen_depth <= DEPTH, where, "frozen_depth", f"1 to {DEPTH}", told.frozen_depth)
    try:
        return _profiled(name, told, where) if told.protocol == "cjt188" else _identified(name, told, where)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _profiled(name: str, told: _File, where: str) -> FrameMap:
    """Make the map of one frame that holds all."""
    none = not (told.blocks or told.frozen or told.clock or told.status)
    need(none, where, "blocks, frozen, clock, status", "none: a [profile] says it all", "some")
    plan: Profile = profile(told.profile)

    def make(wanted: tuple[str, ...]) -> Block:
        return cjt188_blocks.block(plan, wanted)

    items = make(()).items
    names = tuple(item.name for item in items)
    checked = tuple(one for one in names if one == "clock" or one.startswith("status_"))
    upkeep = (make(checked),) if checked else ()
    head = name, told.title, told.source, told.verified, told.protocol
    return FrameMap(*head, items, ((make, names),), upkeep)


def _identified(name: str, told: _File, where: str) -> FrameMap:
    """Make the map of data identifiers."""
    need(told.blocks, where, "blocks", "at least one [[blocks]]", "none")
    need(not told.profile, where, "profile", f"none for {told.protocol}", "some")
    once((one.identifier for one in told.blocks), where, "identifier")
    sources: list[tuple[Callable[[tuple[str, ...]], Block], tuple[str, ...]]] = []
    items: dict[str, Item] = {}
    for one in told.blocks:
        found = block(told.protocol, one.identifier, one.items)
        for item in found.items:
            items.setdefault(item.name, item)
        sources.append((_maker(told.protocol, one), tuple(item.name for item in found.items)))
    upkeep = [block(told.protocol, one) for one in (told.clock, *told.status) if one]
    frozen = _frozen(told, where)
    head = name, told.title, told.source, told.verified, told.protocol
    return FrameMap(*head, tuple(items.values()), tuple(sources), tuple(upkeep), frozen)


def _maker(protocol: str, told: _Block) -> Callable[[tuple[str, ...]], Block]:
    def make(wanted: tuple[str, ...]) -> Block:
        return block(protocol, told.identifier, wanted or told.items)

    return make


def _frozen(told: _File, where: str) -> HourlyFrozen | None:
    """Find which items the frozen identifiers hold."""
    stems: dict[str, str] = {}
    for stem in told.frozen:
        for item in block(told.protocol, f"{stem}01").items:
            need(item.name.endswith(FROZEN), where, "frozen", "identifiers of frozen values", stem)
            stems[item.name.removesuffix(FROZEN)] = stem
    return HourlyFrozen(told.protocol, stems, told.frozen_depth) if stems else None


def _alone(whole: Block, name: str) -> Block | None:
    """Give the request for one item of a block by itself; None: there is none."""
    singles = (one for one in whole.split() if [item.name for item in one.items] == [name])
    return next(singles, None)
