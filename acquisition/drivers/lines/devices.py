"""Meters as their line knows them, and what one due instant of a meter is on its way through a round."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from acquisition.codecs.exchange import Answer, Block, Item
from acquisition.drivers.config import Meter
from acquisition.drivers.desk import Desk
from acquisition.drivers.keeping.thinning import ACCUMULATE
from acquisition.drivers.lines.gaps import Gaps
from acquisition.drivers.lines.states import MeterLink
from acquisition.drivers.lines.upkeep import Health
from nengliu.domain.quality import Origin, Quality
from nengliu.domain.times import HOUR_MS
from nengliu.domain.units import dimension
from nengliu.errors import LinkError


@dataclass(eq=False)
class Device:
    """A meter with what the line knows of it.

    Parameters
    ----------
    slot_ms, last_ms
        Its next slot and its last reading [ms, UTC].
    blocks
        What is asked of it; a block it refuses is split for good.
    skipped
        First slot and end of the newest range the clock or a break leapt over [ms, UTC].
    gaps
        Hours of which it has not told its frozen values; None if they are not read.
    health, checks, checked, check_ms
        What it says of its clock and itself, how it is asked, how far that is, and when next [ms, UTC].
    idle_from_ms
        It is not asked beside its slots before that [ms, UTC].
    blank
        Items of which it said last that it has no value, and voltages that are none.
    """

    meter: Meter
    link: MeterLink
    slot_ms: int
    blocks: list[Block]
    gaps: Gaps | None
    health: Health
    checks: list[Block]
    checked: int = 0
    check_ms: int = 0
    last_ms: int = 0
    skipped: tuple[int, int] = (0, 0)
    idle_from_ms: int = 0
    blank: frozenset[str] = frozenset()

    @property
    def interval_ms(self) -> int:
        """Time between two slots [ms]."""
        return self.meter.interval_s * 1000

    @property
    def frozen_items(self) -> list[str]:
        """Which of its items it freezes at every hour."""
        frozen = self.meter.map.frozen
        held = frozen.items() if frozen is not None and self.gaps is not None else ()
        return [item.name for item, _ in self.meter.items if item.name in held]

    def hand_in(
        self,
        desk: Desk,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        """Hand in values by item [ticks], as its points take them."""
        if origin is Origin.TIMED and self.meter.map.protocol == "opcua":
            origin = Origin.OPC
        points = {item.name: point for item, point in self.meter.items}
        marks = {points[name]: mark for name, mark in (quality or {}).items() if name in points}
        desk.row(
            self.meter, read_at_ms, self.meter.by_point(values), origin=origin, quality=marks or None, raw=raw
        )


@dataclass(eq=False)
class Poll:
    """One slot of one meter on its way: what is still to be asked, what came, what is missing and why.

    Parameters
    ----------
    exact
        Values that hold for the slot to the millisecond, since the meter froze them then.
    doubtful
        Blocks whose answer could not be used: they get a second try.
    heard
        Of each try when it ended [ms, UTC], the items it told, and the frames until then.
    """

    device: Device
    slot_ms: int
    blocks: list[Block]
    values: dict[str, int] = field(default_factory=dict)
    exact: dict[str, int] = field(default_factory=dict)
    lost: dict[str, LinkError] = field(default_factory=dict)
    quality: dict[str, Quality] = field(default_factory=dict)
    raw: bytes = b""
    doubtful: list[Block] = field(default_factory=list)
    is_damaged: bool = False
    asked_clock: bool = False
    asked_frozen: bool = False
    heard: list[tuple[int, Set[str], bytes]] = field(default_factory=list)
    trouble: LinkError | None = None
    answered_ms: int = 0
    tries: int = 0

    @property
    def wants_frozen(self) -> bool:
        """Whether the meter froze its values at this very slot by a clock that is right, and was not asked for them."""
        device = self.device
        at_hour = self.slot_ms % HOUR_MS == 0
        return device.gaps is not None and at_hour and device.health.is_trusted and not self.asked_frozen

    def thin(self, now_ms: int) -> None:
        """Leave out what does not add up, if its turn comes only when the next slot is due: energies come first."""
        if self.tries or now_ms < self.slot_ms + self.device.interval_ms:
            return
        kept = [block for block in self.blocks if any(map(_adds_up, block.items))]
        if kept:
            for block in self.blocks:
                if block not in kept:
                    self.fail(block, LinkError("NOT_ASKED", "the line has no time for it"))
            self.blocks = kept

    def take(self, answer: Answer) -> None:
        """Take the answer to its first block."""
        self.blocks.pop(0)
        self.values |= answer.values
        self.lost |= answer.lost
        self.quality |= answer.quality
        self.raw += answer.raw

    def take_exact(self, values: Mapping[str, int], raw: bytes) -> None:
        """Take what the meter froze at the slot, and ask for it no more."""
        self.exact |= values
        self.raw += raw
        self.blocks = [block for block in self.blocks if any(item.name not in values for item in block.items)]

    def end_try(self) -> None:
        """Note when what came since the last try was told."""
        told = {name for _, names, _ in self.heard for name in names}
        if names := self.values.keys() - told:
            self.heard.append((self.answered_ms, names, self.raw))

    def fail_rest(self, error: LinkError) -> None:
        """Give up what was not asked yet."""
        for block in self.blocks:
            self.fail(block, error)
        self.blocks = []

    def fail(self, block: Block, error: LinkError) -> None:
        """Note that the items of a block are missing."""
        self.lost |= {item.name: error for item in block.items}

    def dead_phases(self) -> frozenset[str]:
        """Name the voltages that came as nothing at all."""
        zero = {name for name, ticks in self.values.items() if not ticks}
        known = ((item.name, item.unit) for item, _ in self.device.meter.items)
        return frozenset(name for name, unit in known if name in zero and dimension(unit) == "voltage")

    def still_lost(self) -> dict[str, LinkError]:
        """Give what is missing of what is wanted after all: an exact value makes up for one that was not told."""
        wanted = {item.name for item, _ in self.device.meter.items} - self.exact.keys()
        return {name: error for name, error in self.lost.items() if name in wanted}


def _adds_up(item: Item) -> bool:
    return dimension(item.unit) in ACCUMULATE
