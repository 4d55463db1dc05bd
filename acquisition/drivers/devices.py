"""Meters as their line knows them, and what one due instant of a meter is on its way through a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acquisition.codecs.exchange import Answer, Block
from acquisition.drivers.config import Meter
from acquisition.drivers.gaps import Gaps
from acquisition.drivers.states import MeterLink
from acquisition.drivers.upkeep import Health
from nengliu.domain.quality import Quality
from nengliu.domain.times import HOUR_MS
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
    health, checks, check_ms
        What it says of its clock and itself, how it is asked, and when next [ms, UTC].
    idle_from_ms
        It is not asked beside its slots before that [ms, UTC].
    """

    meter: Meter
    link: MeterLink
    slot_ms: int
    blocks: list[Block]
    gaps: Gaps | None
    health: Health
    checks: list[Block]
    check_ms: int = 0
    last_ms: int = 0
    skipped: tuple[int, int] = (0, 0)
    idle_from_ms: int = 0

    @property
    def interval_ms(self) -> int:
        """Time between two slots [ms]."""
        return self.meter.interval_s * 1000


@dataclass(eq=False)
class Poll:
    """One slot of one meter on its way: what is still to be asked, what came, what is missing and why.

    Parameters
    ----------
    exact
        Values that hold for the slot to the millisecond, since the meter froze them then.
    doubtful
        Blocks whose answer could not be used: they get a second try.
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
    asked_frozen: bool = False
    trouble: LinkError | None = None
    answered_ms: int = 0
    tries: int = 0

    @property
    def wants_frozen(self) -> bool:
        """Whether the meter froze its values at this very slot by a clock that is right, and was not asked for them."""
        device = self.device
        at_hour = self.slot_ms % HOUR_MS == 0
        return device.gaps is not None and at_hour and device.health.is_trusted and not self.asked_frozen

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

    def fail_rest(self, error: LinkError) -> None:
        """Give up what was not asked yet."""
        for block in self.blocks:
            self.fail(block, error)
        self.blocks = []

    def fail(self, block: Block, error: LinkError) -> None:
        """Note that the items of a block are missing."""
        self.lost |= {item.name: error for item in block.items}

    def still_lost(self) -> dict[str, LinkError]:
        """Give what is missing after all: an exact value makes up for one that was not told."""
        return {name: error for name, error in self.lost.items() if name not in self.exact}
